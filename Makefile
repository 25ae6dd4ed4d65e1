# Thin aliases: the build is meson's, the rest are scripts in tools/.  Each installs the Debian
# packages it needs when they are missing, and says so.
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: all demo check soak bench lint format install clean

all:
	@tools/deps build
	@tools/build

demo:
	@tools/deps build demo
	@tools/build
	@tools/demo

check:
	@tools/deps build test lint vm
	@tools/build
	@tools/peers docker-20.10 docker-28 docker-registry skopeo cosign podman compose compose-1 python3-docker node-clients criu linux-6.1 linux-6.12 apparmor secilc erofs-utils systemd uidmap debian-rootfs dockerd-28 runtimes
	@tools/check

soak:
	@tools/deps build test lint vm
	@tools/build
	@tools/peers docker-20.10 docker-28 docker-registry skopeo cosign podman compose compose-1 python3-docker node-clients criu linux-6.1 linux-6.12 apparmor secilc erofs-utils systemd uidmap debian-rootfs dockerd-28 runtimes
	@tools/check --soak

bench:
	@tools/deps build bench
	@tools/build
	@tools/peers docker-20.10 docker-28 dockerd-28 docker-registry podman runtimes crun-static debian-rootfs
	@tools/bench

lint:
	@tools/deps build lint
	@tools/lint

format:
	@tools/deps lint
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

install:
	@tools/deps build
	@tools/build
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" tools/install

clean:
	rm -rf build/native build/static build/bin
