"""USRPs through libuhd, which runs in a process of its own.

The bindings of UHD 4.3 keep Python's interpreter lock during nearly every call. Measured, device
gone: a tune stops all threads of its process for 60 s, letting go of the device for 10 s, a look
at the time for 1 s. No thread can guard against that, so a process calls libuhd (`process`, with
`board`, `receiver`, `sender`), and the radio (`radio`) waits for its answers as long as the device
still answers discovery, and ends it otherwise (`vendor`, `pulse`).
"""

from drivers.usrp.radio import open_usrp_radio

__all__ = ["open_usrp_radio"]
