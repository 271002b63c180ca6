"""Makes uneven padding part of the convolution that follows it, in an ONNX file: fewer operators, and all of them known everywhere."""

import onnx


def join(model, sides):
    """`sides`: for each Pad of the model in order, (top, left, bottom, right) in pixels. Returns the model, changed."""
    graph = model.graph
    pads = [n for n in graph.node if n.op_type == "Pad"]
    assert len(pads) == len(sides), f"{len(pads)} paddings instead of {len(sides)}"
    for pad, around in zip(pads, sides):
        users = [n for n in graph.node if pad.output[0] in n.input]
        assert [n.op_type for n in users] == ["Conv"], f"{pad.name} is not followed by one convolution"
        own = next(a for a in users[0].attribute if a.name == "pads")
        assert not any(own.ints), f"{users[0].name} pads, too"
        own.ints[:] = around
        users[0].input[0] = pad.input[0]
    # What only computed the paddings.
    while True:
        used = {name for n in graph.node for name in n.input} | {o.name for o in graph.output}
        idle = [n for n in graph.node if not used & set(n.output)]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
    onnx.checker.check_model(model)
    return model
