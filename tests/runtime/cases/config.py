"""What config.json may say; see tests/unit/oci for the rules one by one."""

from harness import equal, expect, test


@test("properties that are not known are ignored")
def extensible(box):
    box.config.update(newer={"a": [1]}, windows={"layerFolders": []}, freebsd={})
    box.process.update(newer=1)
    box.process["user"]["newer"] = True
    box.linux.update(newer={}, resources=dict(box.linux["resources"], newer=1))
    equal(box.report("ids")["ids"]["pid"], 1)


@test("versions: of the first series, and of no later one")
def versions(box):
    for version in ("1.0.0", "1.0.2-dev", "1.3.0", "1.77.1"):
        box.config["ociVersion"] = version
        equal(box.run("exit", "3", check=False).code, 3, version)
    for version in ("2.0.0", "1", "", "x.y.z", "1.0"):
        box.config["ociVersion"] = version
        box.fails("ociVersion")


@test("annotations are in the state, unchanged")
def annotations(box):
    box.config["annotations"] = {"org.example.key": "value", "empty": "", "unicode": "\u00e9\u4e16\"\\"}
    box.create("pause")
    equal(box.state()["annotations"], box.config["annotations"])


@test("a Windows command line is refused, a Windows user name is not looked at")
def windows(box):
    box.process["commandLine"] = "a b c"
    box.fails(r"process\.commandLine")
    del box.process["commandLine"]
    box.process["user"] = {"uid": 1000, "gid": 1000, "username": "ContainerAdministrator"}
    equal(box.report("ids")["ids"]["uid"], 1000)


@test("a document that is none is refused with its place")
def malformed(box):
    box.write()
    for text, error in (("{", "config.json"), ("[]", "expected an object"), ("{\"a\":1,}", "line 1"), ("", "config.json"),
                        ("{\"ociVersion\":\"1.0.0\",\"ociVersion\":\"1.0.0\"}", "ociVersion")):
        with open(box.dir + "/config.json", "w") as f:
            f.write(text)
        result = box.runtime("run", "--bundle", box.dir, box.id)
        expect(result.code != 0 and error in result.err, result.err)
        equal(box.exists(), False)


@test("what the kernel refuses is an error that names the member")
def kernel_refusals(box):
    box.process["oomScoreAdj"] = -1000
    result = box.run("exit", "0", check=False)
    if result.code != 0:  # without CAP_SYS_RESOURCE it may not be lowered
        expect("process.oomScoreAdj" in result.err, result.err)
    box.process["oomScoreAdj"] = 5000
    box.fails(r"process\.oomScoreAdj")
