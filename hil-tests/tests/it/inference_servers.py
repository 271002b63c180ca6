"""Servers and a caller of the Open Inference Protocol that nobody here wrote: mlserver, KServe, Triton's client.

    inference_servers.py mlserver PORT FOLDER NAME SHA256 NETWORK
    inference_servers.py kserve PORT NAME-WITH-HASH NETWORK
    inference_servers.py triton HOST:PORT NAME SHA256 INPUT.npy EXPECTED.npy
"""

import json
import os
import sys


def session(network):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def declared(ports):
    extent = lambda n: n if isinstance(n, int) else -1
    return [{"name": p.name, "datatype": "FP32", "shape": [extent(n) for n in p.shape]} for p in ports]


def mlserver_main(port, folder, name, sha256, network):
    """What an operator would write: two settings files; the hash is in `versions`."""
    own = session(network)
    os.makedirs(folder, exist_ok=True)
    settings = {"http_port": int(port), "grpc_port": 0, "metrics_port": 0, "parallel_workers": 0, "host": "127.0.0.1",
                "debug": False, "metrics_endpoint": None}
    model = {"name": name, "implementation": "inference_servers.Runtime", "platform": "onnxruntime_onnx",
             "versions": [f"sha256-{sha256}"], "inputs": declared(own.get_inputs()), "outputs": declared(own.get_outputs()),
             "parameters": {"uri": network, "version": f"sha256-{sha256}"}}
    for file, content in (("settings.json", settings), ("model-settings.json", model)):
        with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
            json.dump(content, out)
    os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-c", "from mlserver.cli import main; main()", "start", folder])


try:
    import mlserver
    from mlserver.codecs import NumpyCodec

    class Runtime(mlserver.MLModel):
        async def load(self):
            self.own = session(self.settings.parameters.uri)
            return True

        async def predict(self, payload):
            given = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
            names = [one.name for one in self.own.get_outputs()]
            made = self.own.run(names, given)
            outputs = [NumpyCodec.encode_output(name, value) for name, value in zip(names, made)]
            return mlserver.types.InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
except ImportError:
    pass


def kserve_main(port, name, network):
    import kserve

    class Network(kserve.Model):
        def __init__(self):
            super().__init__(name)
            self.own = session(network)
            self.ready = True

        async def get_input_types(self):
            return declared(self.own.get_inputs())

        async def get_output_types(self):
            return declared(self.own.get_outputs())

        def predict(self, payload, headers=None, response_headers=None):
            given = {one.name: one.as_numpy() for one in payload.inputs}
            names = [one.name for one in self.own.get_outputs()]
            outputs = []
            for name_, value in zip(names, self.own.run(names, given)):
                output = kserve.InferOutput(name_, list(value.shape), "FP32")
                output.set_data_from_numpy(value, binary_data=True)
                outputs.append(output)
            return kserve.InferResponse(response_id=payload.id or "", model_name=self.name, infer_outputs=outputs,
                                        use_binary_outputs=True)

    kserve.ModelServer(http_port=int(port), enable_grpc=False, workers=1).start([Network()])


def triton_main(address, name, sha256, given, expected):
    import numpy
    import tritonclient.http as http

    client = http.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(name)
    assert client.get_server_metadata()["name"] == "scanside"
    said = client.get_model_metadata(name)
    assert said["parameters"]["sha256"] == sha256, said
    assert client.get_model_metadata(f"{name}-sha256-{sha256}")["parameters"]["sha256"] == sha256
    assert not client.is_model_ready(f"{name}-sha256-{'0' * 64}")
    image = numpy.load(given)
    wanted = numpy.load(expected)
    (source,), (sink,) = said["inputs"], said["outputs"]
    for is_binary in (True, False):
        one = http.InferInput(source["name"], image.shape, source["datatype"])
        one.set_data_from_numpy(image, binary_data=is_binary)
        asked = [http.InferRequestedOutput(sink["name"], binary_data=is_binary)]
        made = client.infer(name, [one], outputs=asked, model_version=said["versions"][0]).as_numpy(sink["name"])
        assert made.shape == wanted.shape, (made.shape, wanted.shape)
        print("largest difference", float(abs(made - wanted).max()))
        assert abs(made - wanted).max() < 0.02
        assert client.infer(name, [one]).as_numpy(sink["name"]).shape == wanted.shape
    wrong = http.InferInput(source["name"], [1, 1], source["datatype"])
    wrong.set_data_from_numpy(numpy.zeros((1, 1), "float32"))
    try:
        client.infer(name, [wrong])
    except http.InferenceServerException as error:
        print("refused:", error)
    else:
        raise AssertionError("a wrong shape was taken")


if __name__ == "__main__":
    {"mlserver": mlserver_main, "kserve": kserve_main, "triton": triton_main}[sys.argv[1]](*sys.argv[2:])
