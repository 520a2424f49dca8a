"""The data directory on a small file system of its own, so that it can be full."""

import os
import subprocess


class Disk:
    """A tmpfs, mounted."""

    def __init__(self, directory, mebibytes):
        self.directory = directory
        self.ballast = os.path.join(directory, "ballast")
        options = f"size={mebibytes}m,mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "alf-prove", directory], check=True, capture_output=True)

    def fill(self):
        """Takes all room that is left."""
        with open(self.ballast, "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def empty(self):
        """Gives it back."""
        os.unlink(self.ballast)

    def unmount(self):
        """Leaves nothing."""
        subprocess.run(["umount", "--lazy", self.directory], check=False, capture_output=True)


def mount(directory, mebibytes):
    """A disk, where that is permitted; else why not."""
    try:
        return Disk(directory, mebibytes), None
    except subprocess.CalledProcessError as error:
        return None, error.stderr.decode(errors="replace").strip()
    except OSError as error:
        return None, str(error)
