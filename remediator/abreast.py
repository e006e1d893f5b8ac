"""Run a few slow questions beside each other, on threads that hold up no end of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def abreast(questions: Sequence[Callable[[], T]]) -> list[T]:
    """Return the answers in the order of the questions; raise what the first of them raised."""
    answers: SimpleQueue[tuple[int, T | None, BaseException | None]] = SimpleQueue()

    def ask(number: int) -> None:
        try:
            answers.put((number, questions[number](), None))
        except BaseException as error:  # noqa: BLE001 - handed to the one who asked
            answers.put((number, None, error))

    for number in range(len(questions)):
        threading.Thread(target=ask, args=(number,), name=f"abreast-{number}", daemon=True).start()
    found = sorted((answers.get() for _ in questions), key=lambda answer: answer[0])
    for _, _, error in found:
        if error is not None:
            raise error
    return [answer for _, answer, _ in found]  # type: ignore[misc]
