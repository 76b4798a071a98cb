"""The one error a user of locokine is meant to see."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user wrote cannot be used.

    Parameters
    ----------
    place
        Where: file, line, field, option or parameter.
    problem
        What is wrong, in the user's terms.
    remedy
        What to do about it.
    """

    def __init__(self, place: str, problem: str, remedy: str = "") -> None:
        self.place = place
        self.problem = problem
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        message = f"{self.place}: {self.problem}" if self.place else self.problem
        return f"{message}; {self.remedy}" if self.remedy else message
