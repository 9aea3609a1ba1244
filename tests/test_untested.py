"""What counts as a public function that no test runs; `make coverage` lists them."""

from untested import untested

SOURCE = '''
def run(x):
    """A sentence."""
    return x

def never(x):
    """A sentence."""
    if x:
        return 1
    return 2

def _private():
    return 1

class Shape:
    def area(self):
        return 0

    def later(self):
        """A sentence."""
        raise NotImplementedError

    def _own(self):
        return 1

class _Hidden:
    def area(self):
        return 1

class Named:
    def name(self) -> str: ...
'''


def test_a_function_is_run_when_one_of_its_statements_is() -> None:
    assert untested(SOURCE, ()) == ["run", "never", "Shape.area"]
    assert untested(SOURCE, {2, 4, 6, 16}) == ["never", "Shape.area"]  # that a function was defined is not enough
    assert untested(SOURCE, {4, 10, 17}) == []
