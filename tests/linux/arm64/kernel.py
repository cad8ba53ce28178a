# SPDX-License-Identifier: MIT
#
# Debian's arm64 kernel, without installing anything: apt with a configuration of its own fetches the
# package into a scratch folder, and its Image and its driver for SPE stay in the folder that the caller names.
import pathlib
import shutil
import subprocess
import tempfile

META_PACKAGE = "linux-image-cloud-arm64"
MIRROR = "http://deb.debian.org/debian"
SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = {"apt-get": "apt", "dpkg-deb": "dpkg", KEYRING: "debian-archive-keyring"}
SECONDS = 300


class Unavailable(Exception):
    """There is no kernel to be had here; the message says why and what would help."""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, **options)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"{' '.join(command[:2])} failed: {last}; is {MIRROR} reachable?")
    return done.stdout


def write_apt_configuration(scratch):
    for folder in ["state/lists/partial", "cache/archives/partial"]:
        (scratch / folder).mkdir(parents=True)
    (scratch / "status").touch()
    sources = scratch / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    configuration = scratch / "apt.conf"
    configuration.write_text(
        'APT::Architecture "arm64";\n'
        'APT::Architectures { "arm64"; };\n'
        'APT::Sandbox::User "";\n'
        f'Dir::State "{scratch}/state";\n'
        f'Dir::State::status "{scratch}/status";\n'
        f'Dir::Cache "{scratch}/cache";\n'
        f'Dir::Etc::sourcelist "{sources}";\n'
        'Dir::Etc::sourceparts "/dev/null";\n')
    return configuration


def current_package(environment):
    """The package with the kernel itself: the metapackage depends on it."""
    depends = run(["apt-cache", "depends", META_PACKAGE], env=environment)
    names = [line.split()[-1] for line in depends.splitlines() if "Depends:" in line]
    if not names:
        raise Unavailable(f"{MIRROR} has no {META_PACKAGE} in {SUITE}")
    return names[0]


def download(scratch):
    environment = {"APT_CONFIG": str(write_apt_configuration(scratch)), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    run(["apt-get", "update", "--error-on=any"], env=environment)
    run(["apt-get", "download", current_package(environment)], env=environment, cwd=scratch)
    return next(scratch.glob("*.deb"))


def fetch(kept):
    """`kept`: what stays, and a pattern of its name in the package."""
    for needed, package in PACKAGES.items():
        if not (shutil.which(needed) or pathlib.Path(needed).exists()):
            raise Unavailable(f"{needed} is not there; it is in Debian's {package}")
    with tempfile.TemporaryDirectory(prefix="vpmu-kernel.") as name:
        scratch = pathlib.Path(name)
        package = download(scratch)
        run(["dpkg-deb", "-x", str(package), str(scratch / "files")])
        for file, pattern in kept.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial")
            shutil.copyfile(next((scratch / "files").glob(pattern)), partial)
            partial.rename(file)


def fetched(folder):
    """The Image and the SPE driver (a module) in `folder`, which are fetched if one of them is not there yet."""
    image, driver = pathlib.Path(folder) / "Image", pathlib.Path(folder) / "arm_spe_pmu.ko"
    if not (image.exists() and driver.exists()):
        fetch({image: "boot/vmlinuz-*", driver: "lib/modules/*/kernel/drivers/perf/arm_spe_pmu.ko"})
    return image, driver
