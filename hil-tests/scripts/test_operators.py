"""Tests of operators.py, with networks that are written here byte by byte."""

import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import operators


def message(number: int, value: int | bytes) -> bytes:
    """One field of a protobuf message. Short values only."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    key = number << 3 | 2
    return (bytes([key]) if key < 0x80 else bytes([key & 0x7F | 0x80, key >> 7])) + bytes([len(value)]) + value


def node(name: str, domain: str = "", inside: bytes = b"") -> bytes:
    attribute = message(5, message(6, inside)) if inside else b""
    return message(1, message(4, name.encode()) + message(7, domain.encode()) + attribute)


def network(*nodes: bytes, opset: int = 17) -> bytes:
    return message(8, message(1, b"") + message(2, opset)) + message(7, b"".join(nodes))


class Operators(unittest.TestCase):
    def test_a_network_of_known_operators_is_accepted(self):
        self.assertEqual(operators.faults(network(node("Conv"), node("Relu"), opset=18)), [])

    def test_an_operator_that_some_accelerator_may_lack_is_named(self):
        self.assertEqual(
            operators.faults(network(node("Conv"), node("Einsum"), node("Conv", domain="com.microsoft"))),
            ["operator Einsum is not in the list", "operator com.microsoft.Conv is not in the list"],
        )

    def test_an_operator_inside_another_is_seen(self):
        bad = network(node("Conv", inside=node("NonZero")))
        self.assertEqual(operators.faults(bad), ["operator NonZero is not in the list"])

    def test_an_opset_that_is_too_new_is_named(self):
        said = operators.faults(network(node("Conv"), opset=19))
        self.assertEqual(len(said), 1)
        self.assertIn("opset 19", said[0])

    def test_a_network_in_8_bits_may_have_the_opset_that_it_needs_and_no_newer_one(self):
        nodes = (node("QuantizeLinear"), node("DequantizeLinear"), node("Conv"))
        self.assertEqual(operators.faults(network(*nodes, opset=19)), [])
        self.assertIn("opset 20", operators.faults(network(*nodes, opset=20))[0])

    def test_what_is_no_network_is_refused(self):
        for bytes_ in (b"", b"not a network", network(node("Conv"))[:-3]):
            self.assertTrue(operators.faults(bytes_), bytes_)

    def test_the_shipped_networks_pass_and_a_bad_one_fails(self):
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()) as said:
            self.assertEqual(operators.main([]), 0)
            bad = Path(folder) / "bad.onnx"
            bad.write_bytes(network(node("Einsum"), opset=22))
            self.assertEqual(operators.main([str(bad)]), 1)
        self.assertIn("bad.onnx: operator Einsum is not in the list", said.getvalue())
        self.assertIn("chest.onnx: opset 17", said.getvalue())


if __name__ == "__main__":
    unittest.main()
