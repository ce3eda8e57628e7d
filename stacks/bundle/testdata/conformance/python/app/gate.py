import threading

_gate = threading.Event()


def released():
    _gate.wait(20)
    _gate.clear()


def release():
    _gate.set()
