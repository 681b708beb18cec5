"""The whole graph on a small shop, run as a user runs it."""
def test_x(home):
    print(home)
