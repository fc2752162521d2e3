import asyncio
import threading

from workbench.panels.background import Background, InlineExecutor


def test_inline_task_has_ended_when_run_returns():
    results = []
    Background(InlineExecutor()).run(lambda: 2, results.append, results.append)
    assert results == [2]


def test_failure_of_a_task_is_handed_over():
    failures = []
    Background(InlineExecutor()).run(lambda: 1 / 0, failures.append, failures.append)
    assert isinstance(failures[0], ZeroDivisionError)


def test_end_of_a_task_is_told_in_the_main_thread():
    background = Background()
    threads = []
    background.run(threading.get_ident, lambda worker: threads.extend((worker, threading.get_ident())), threads.append)

    assert background.wait(5)
    worker, told = threads
    assert worker != threading.get_ident()
    assert told == threading.get_ident()


def test_event_loop_brings_results_without_waiting():
    async def cell():
        background, results = Background(), []
        background.run(lambda: "done", results.append, results.append)
        for _ in range(200):
            await asyncio.sleep(0.01)
            if results:
                break
        return results

    assert asyncio.run(cell()) == ["done"]


def test_waiting_gives_up_in_time():
    background, gate = Background(), threading.Event()
    background.run(lambda: gate.wait(5), print, print)
    assert not background.wait(0.05)
    gate.set()
    assert background.wait(5)
