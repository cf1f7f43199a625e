"""Training that is killed at random moments, and resumed until it has come to its end."""
