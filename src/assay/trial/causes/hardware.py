"""Stops that only a machine with a GPU can judge: they prove nothing on a CPU."""

from __future__ import annotations

from assay.trial.causes.known import Known, known

_NEEDS_ONE = "only a machine with a GPU can tell"

CAUSES: tuple[Known, ...] = (
    known(
        "cuda",
        "",
        r"(?:CUDA (?:error|driver|unavailable|is not available|out of memory)|Torch not compiled with CUDA|"
        r"No CUDA GPUs|found no NVIDIA driver|cudaGet|cuDNN|libcuda|CUDA capability|DeferredCudaCallError)",
        "it asks for a GPU",
        "Choose the device by what is there: `torch.device('cuda' if torch.cuda.is_available() else 'cpu')`.",
        doubt=_NEEDS_ONE,
    ),
    known(
        "nvml",
        "",
        r"(?:NVML|nvmlInit|libnvidia-ml|NVMLError)",
        "it asks the GPU's driver",
        "Go on without energy readings where there is no driver.",
        doubt=_NEEDS_ONE,
    ),
    known(
        "distributed",
        "",
        r"(?:NCCL|ProcessGroupNCCL|Distributed package doesn't have NCCL)",
        "it asks for several GPUs",
        "Choose the backend by what is there.",
        doubt=_NEEDS_ONE,
    ),
    known(
        "flash-attention",
        "",
        r"(?:flash_attn|FlashAttention2?|flash_attention_2|xformers)",
        "it asks for an attention kernel that only a GPU has",
        "Fall back to `sdpa` where it is not installed.",
        doubt=_NEEDS_ONE,
    ),
    known(
        "bitsandbytes",
        "",
        r"(?:bitsandbytes|bnb\b|load_in_[48]bit|8-bit|4-bit)",
        "it asks for kernels that only a GPU has",
        "Use them only where there is a GPU.",
        doubt=_NEEDS_ONE,
    ),
    known(
        "compiler",
        "",
        r"(?:torch\._inductor|torch\._dynamo|Inductor|Triton|triton|InvalidCxxCompiler|No working C\+\+ compiler|gcc)",
        "it compiles kernels, and there is no compiler in the rehearsal",
        "None is needed if it runs uncompiled elsewhere.",
        doubt="whether it compiles depends on the machine",
    ),
    known(
        "half-precision-on-cpu",
        "RuntimeError NotImplementedError",
        r"not implemented for 'Half'|\"(?P<op>\w+)\" not implemented for 'BFloat16'",
        "the CPU has no such operation for half precision",
        "None is needed on a GPU.",
        doubt="a GPU has the operation",
    ),
    known(
        "no-memory",
        "MemoryError OutOfMemoryError",
        r".*",
        "the memory does not suffice",
        "Use smaller batches.",
        doubt="it depends on the machine",
    ),
    known(
        "no-space",
        "OSError",
        r"No space left on device|Disk quota exceeded|File too large",
        "the space that a rehearsal gives does not suffice",
        "Write less.",
        doubt="it depends on the machine",
    ),
    known(
        "mounted-folder",
        "OSError",
        r"Device or resource busy",
        "it removes a folder that is mounted in the rehearsal",
        "None is needed if the folder may be removed elsewhere.",
        doubt="the sandbox mounts that folder",
    ),
    known(
        "limit-on-processes",
        "BlockingIOError RuntimeError OSError",
        r"Resource temporarily unavailable|can't start new thread|Too many open files",
        "it starts more processes or threads than a rehearsal gives it",
        "Start fewer.",
        doubt="it depends on the machine",
    ),
)
