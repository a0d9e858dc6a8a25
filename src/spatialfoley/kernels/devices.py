"""Which device computes."""

import torch


def choose_device(device: str) -> torch.device:
    """The torch device of a name; "auto" takes cuda, then mps, then cpu.

    Raises:
        ValueError: if the name is none or the device is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as problem:
        raise ValueError(f"device is {device!r}, which is not available here; use auto or cpu") from problem
    return place
