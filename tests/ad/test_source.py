"""Where functions come from: files, strings, reloads, threads; and what is not covered."""

import gc
import importlib
import importlib.util
import os
import sys
import threading
import weakref

import numpy as np
import pytest

import flux
from flux.ad import entries

SCALE = 2.0


def module(path, text):
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.line(9)
def test_a_function_made_by_exec_has_no_source():
    namespace = {}
    exec("def f(x):\n    return x * 2", namespace)
    with pytest.raises(flux.SourceError, match="f"):
        flux.gradient(namespace["f"], 1.0)


@pytest.mark.line(10)
def test_an_edit_that_moves_nothing_is_noticed_too(tmp_path):
    made = module(tmp_path / "same_places.py", "def f(x):\n    return x * 2\n")
    (tmp_path / "same_places.py").write_text("def f(x):\n    return x * 3\n")
    with pytest.raises(flux.SourceError, match="changed"):
        flux.gradient(made.f, 1.0)


@pytest.mark.line(10)
def test_a_file_that_changed_after_import_is_refused(tmp_path):
    made = module(tmp_path / "changed_after.py", "def f(x):\n    return x * 2\n")
    (tmp_path / "changed_after.py").write_text("\n\n\ndef f(x):\n    y = 7\n    return x * 3\n")
    with pytest.raises(flux.SourceError, match="changed"):
        flux.gradient(made.f, 1.0)


@pytest.mark.line(11)
def test_a_function_without_statements_returns_none():
    def nothing(x):
        """Only this."""

    assert flux.pullback(nothing, 1.0)[0] is None


@pytest.mark.line(16)
def test_a_global_that_is_bound_anew_is_read_anew(monkeypatch):
    def scaled(x):
        return x * SCALE

    assert flux.gradient(scaled, 1.0) == (2.0,)
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    assert flux.gradient(scaled, 1.0) == (5.0,)
    monkeypatch.setitem(globals(), "SCALE", np.array([1.0, 2.0]))
    assert flux.gradient(lambda x: scaled(x).sum(), 1.0) == (3.0,)


async def asynchronous(x):
    return x


def generating(x):
    yield x


@pytest.mark.line(20)
@pytest.mark.line(99)
@pytest.mark.parametrize("f", [asynchronous, generating])
def test_coroutines_and_generators_are_refused_by_name(f):
    with pytest.raises(flux.NotDifferentiable, match=f"`{f.__name__}`") as caught:
        flux.gradient(lambda x: f(x), 1.0)
    assert "test_source.py line" in str(caught.value)


@pytest.mark.line(200)
@pytest.mark.line(199)
def test_what_is_not_covered_is_refused_where_it_is_reached():
    def rarely(x):
        if x > 100:
            total = sum(v * x for u in [[x]] for v in u if (lambda: v)())
            return total
        return x * x

    assert flux.gradient(rarely, 3.0) == (6.0,)
    with pytest.raises(flux.NotDifferentiable) as caught:
        flux.gradient(rarely, 101.0)
    what, where, *way_out = str(caught.value).splitlines()
    assert "not cover" in what
    assert "test_source.py line" in where
    assert "total = sum(" in where
    assert any("flux.rule" in line for line in way_out)


@pytest.mark.line(92)
def test_an_active_value_in_a_callee_without_rule_is_refused_with_ways_out():
    with pytest.raises(flux.NotDifferentiable) as caught:
        flux.gradient(lambda x: np.frompyfunc(abs, 1, 1)(np.array([x])).sum(), 2.0)
    assert "flux.rule" in str(caught.value)
    assert "flux.nograd" in str(caught.value)


@pytest.mark.line(93)
def test_an_opaque_callee_may_be_given_what_carries_no_derivative():
    def f(x):
        return x * len(os.getenv("FLUX_NO_SUCH_NAME", "abc"))

    assert flux.gradient(f, 2.0) == (3.0,)


@pytest.mark.line(192)
def test_pullbacks_are_no_files():
    import pickle

    _, back = flux.pullback(lambda x: x * x, 2.0)
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        pickle.dumps(back)


@pytest.mark.line(193)
def test_threads_that_meet_a_new_function_transform_it_once(tmp_path, monkeypatch):
    made = module(tmp_path / "for_threads.py", "def f(x):\n    return x * x\n")
    parsed, found = [], []
    parse = entries.parse
    monkeypatch.setattr(entries, "parse", lambda f: (parsed.append(f), parse(f))[1])
    start = threading.Barrier(4)

    def work(x):
        start.wait()
        found.append((x, flux.gradient(made.f, x)[0]))

    threads = [threading.Thread(target=work, args=(float(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(float(i), 2.0 * i) for i in range(4)]
    assert parsed.count(made.f) == 1


@pytest.mark.line(194)
def test_an_interrupted_transformation_leaves_nothing_behind(tmp_path, monkeypatch):
    made = module(tmp_path / "interrupted.py", "def f(x):\n    return x * x\n")

    def interrupted(f):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(entries, "parse", interrupted)
        with pytest.raises(KeyboardInterrupt):
            flux.gradient(made.f, 3.0)
    assert flux.gradient(made.f, 3.0) == (6.0,)


@pytest.mark.line(195)
def test_closures_are_transformed_once_and_freed():
    before = len(entries.ENTRIES)
    references = []

    def scaling(k):
        return lambda x: x * k

    for k in range(1000):
        f = scaling(float(k))
        assert flux.gradient(f, 1.0) == (k,)
        references.append(weakref.ref(f))
    del f
    gc.collect()
    assert len(entries.ENTRIES) <= before + 4
    assert not any(reference() for reference in references)


@pytest.mark.line(195)
def test_a_dropped_module_takes_its_adjoints_along(tmp_path):
    made = module(tmp_path / "dropped.py", "def f(x):\n    return x * x * x\n")
    flux.hessian(made.f, 2.0)
    reference = weakref.ref(made.f)
    del made
    gc.collect()
    assert reference() is None


@pytest.mark.line(196)
def test_a_reloaded_module_runs_its_new_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "reloaded_later.py"
    path.write_text("def f(x):\n    return x * 2\n")
    made = importlib.import_module("reloaded_later")
    assert flux.gradient(made.f, 1.0) == (2.0,)
    path.write_text("# longer now\ndef f(x):\n    return x * 30\n")
    importlib.invalidate_caches()
    importlib.reload(made)
    assert flux.gradient(made.f, 1.0) == (30.0,)


@pytest.mark.line(197)
def test_recursion_reaches_a_good_part_of_pythons_depth():
    def down(x, n):
        return x if n == 0 else 1.01 * down(x, n - 1)

    depth = sys.getrecursionlimit() // 6
    assert np.isclose(flux.gradient(down, 1.0, depth)[0], 1.01**depth)


@pytest.mark.line(198)
def test_a_debugger_stops_on_the_lines_of_the_user():
    seen = []

    def f(x):
        y = x * 2
        return y * y

    def trace(frame, event, arg):
        if event == "line" and frame.f_code.co_filename == __file__:
            seen.append(frame.f_lineno - f.__code__.co_firstlineno)
            if "y" in frame.f_locals and isinstance(frame.f_locals["y"], float):
                seen.append(frame.f_locals["y"])
        return trace

    flux.gradient(f, 3.0)
    sys.settrace(trace)
    try:
        _, back = flux.pullback(f, 3.0)
        forward = list(seen)
        back(1.0)
    finally:
        sys.settrace(None)
    assert 1 in forward
    assert 2 in forward
    assert 6.0 in forward
    assert 2 in seen[len(forward) :]


@pytest.mark.line(198)
def test_a_breakpoint_stops_in_the_function_of_the_user(monkeypatch):
    seen = []

    def f(x):
        y = x * 2
        breakpoint()
        return y * y

    def stop():
        frame = sys._getframe(1)
        seen.append((frame.f_code.co_name, frame.f_lineno, frame.f_locals["y"]))

    monkeypatch.setattr(sys, "breakpointhook", stop)
    assert flux.gradient(f, 3.0) == (24.0,)
    assert seen == [("f", f.__code__.co_firstlineno + 2, 6.0)]


@pytest.mark.line(163)
def test_an_error_in_the_reverse_pass_shows_the_line_of_the_user():
    import traceback

    def strange(x):
        return x * 2

    @flux.rule(strange)
    def broken(x):
        return x * 2, lambda ct: (ct[0],)

    def f(x):
        y = x + 1
        return strange(y) * 3

    with pytest.raises(TypeError) as caught:
        flux.gradient(f, 1.0)
    shown = "".join(traceback.format_exception(caught.value))
    assert "return strange(y) * 3" in shown
    assert "^^^^^^^^^^" in shown


def test_the_source_of_a_function_is_transformed_once(monkeypatch):
    def f(x):
        return x * x

    flux.gradient(f, 1.0)
    monkeypatch.setattr(entries, "parse", lambda f: pytest.fail("parsed again"))
    assert flux.gradient(f, 2.0) == (4.0,)
