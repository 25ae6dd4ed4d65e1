"""AppArmor profiles and SELinux labels, by what they forbid; and what is said where there is neither."""

import os
import subprocess

from harness import equal, expect, test

PROFILE = """
profile vessel-test flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  signal,
  deny /tmp/forbidden w,
}
"""


def load_profile(box, name="vessel-test"):
    """Into the kernel, and out of it when the case has ended."""
    def parser(option):
        subprocess.run(["apparmor_parser", "--skip-cache", option], check=True, text=True,
                       input=PROFILE.replace("vessel-test", name))
    parser("--replace")
    box.at_end.append(lambda: parser("--remove"))


WRITES = "cat /proc/self/attr/current; echo x >/tmp/allowed && echo allowed; echo x >/tmp/forbidden"


@test("an AppArmor profile is in force in process 1 and what it starts", needs="AppArmor")
def apparmor(box):
    load_profile(box)
    box.process["apparmorProfile"] = "vessel-test"
    result = box.sh(WRITES, check=False)
    equal(result.out, "vessel-test (enforce)\nallowed\n")
    expect("/tmp/forbidden: Permission denied" in result.err, result.err)
    equal(os.path.exists(box.rootfs + "/tmp/forbidden"), False)


@test("an AppArmor profile with no new privileges", needs="AppArmor")
def apparmor_no_new_privileges(box):
    load_profile(box)
    box.process.update(apparmorProfile="vessel-test", noNewPrivileges=True, user={"uid": 1000, "gid": 1000})
    equal(box.sh("cat /proc/self/attr/current").out, "vessel-test (enforce)\n")


@test("exec gets the container's AppArmor profile, or its own", needs="AppArmor")
def apparmor_exec(box):
    load_profile(box)
    load_profile(box, "vessel-other")
    box.process["apparmorProfile"] = "vessel-test"
    box.start()
    equal(box.exec("/bin/cat", "/proc/self/attr/current").out, "vessel-test (enforce)\n")
    equal(box.exec("/bin/cat", "/proc/self/attr/current", options=("--apparmor", "vessel-other")).out,
          "vessel-other (enforce)\n")


@test("an AppArmor profile that is not there is refused")
def apparmor_missing(box):
    box.process["apparmorProfile"] = "vessel-none"
    box.fails("apparmorProfile.*vessel-none" if box.host.has["AppArmor"] else "AppArmor is not")


@test("without a profile a container is unconfined", needs="AppArmor")
def unconfined(box):
    equal(box.sh("cat /proc/self/attr/current").out, "unconfined\n")


@test("an SELinux label that the kernel does not have is refused")
def selinux_missing(box):
    box.process["selinuxLabel"] = "system_u:system_r:vessel_none_t:s0"
    box.fails("'system_u:system_r:vessel_none_t:s0'.*Invalid argument" if box.host.has["SELinux"]
              else "SELinux is not")


LABEL = "system_u:system_r:container_t:s0:c5,c23"
FILE = "system_u:object_r:container_file_t:s0:%s"


@test("an SELinux label is in force: its own files are written, those of the host and of others are not",
      needs="SELinux")
def selinux(box):
    for name, label in (("own", FILE % "c5,c23"), ("shared", FILE[:-3]), ("other", FILE % "c5,c24"), ("host", None)):
        path = box.file("mnt/" + name, "")
        if label:
            os.setxattr(path, "security.selinux", label.encode() + b"\0")
    box.process["selinuxLabel"] = LABEL
    result = box.sh("cat /proc/self/attr/current; for f in own shared other host; do echo x >/mnt/$f && echo $f; done",
                    check=False)
    equal(result.out.replace("\0", ""), LABEL + "own\nshared\n")
    equal(result.err.count("Permission denied"), 2)


@test("a mount label is the label of all files of the container's own mounts", needs="SELinux")
def selinux_mounts(box):
    box.process["selinuxLabel"] = LABEL
    box.linux["mountLabel"] = FILE % "c5,c23"
    box.mount("/mnt", type="tmpfs", source="tmpfs")
    result = box.sh("echo x >/mnt/x && echo x >/dev/x && echo written; sed -n 's/.*context=\\([^ ,]*,[^ ,]*\\).*/\\1/p'"
                    " /proc/mounts | sort -u")
    equal(result.out, "written\n\"%s\"\n" % (FILE % "c5,c23"))
