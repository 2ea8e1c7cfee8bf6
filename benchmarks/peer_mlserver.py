"""Peer: MLServer with a custom runtime, one worker process with one thread for each core. Imports nothing of Miradouro.

Its guide recommends as many workers as cores for CPU-bound models, and batches where they gain, which they do not on a CPU.
"""

import base64

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from peer_network import from_environment


class Network(MLModel):
    async def load(self) -> bool:
        self.network = from_environment(threads=1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        [photo] = payload.inputs[0].data
        values = np.frombuffer(self.network.embed(base64.b64decode(photo)), np.float32)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("vectors", values[np.newaxis])])
