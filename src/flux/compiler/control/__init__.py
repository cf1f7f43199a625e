"""Control flow of compiled programs: branches and loops that only the data decide."""
