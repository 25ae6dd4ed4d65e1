// dockerode's common flows; dockerode.py starts the engine.
"use strict";

const assert = require("assert");
const zlib = require("zlib");
const {PassThrough} = require("stream");
const Docker = require("dockerode");
const tarStream = require("tar-stream");
const tap = require("tap.js");

const docker = new Docker({socketPath: process.env.DOCKER_HOST.replace("unix://", "")});

// A container that runs until it is told otherwise.
async function sleeper(options) {
	const c = await docker.createContainer({Image: "busybox", Cmd: ["sleep", "1000"],
						HostConfig: {Init: true}, ...options});

	await c.start();
	return c;
}

async function fails(status, promise) {
	await assert.rejects(promise, (problem) => {
		assert.strictEqual(problem.statusCode, status, problem.message);
		return true;
	});
}

// The two streams of a multiplexed one, by dockerode's own demultiplexer.
async function demux(stream) {
	const out = new PassThrough(), err = new PassThrough();
	const both = Promise.all([tap.collect(out), tap.collect(err)]);

	docker.modem.demuxStream(stream, out, err);
	stream.on("end", () => { out.end(); err.end(); });
	stream.on("close", () => { out.end(); err.end(); });
	return (await both).map(String);
}

function lines(stream, count) {
	return new Promise((resolve) => {
		const seen = [];
		let rest = "";

		stream.on("data", (data) => {
			const parts = (rest + data).split("\n");

			rest = parts.pop();
			seen.push(...parts.filter(Boolean));
			if (seen.length >= count)
				resolve(seen);
		});
	});
}

function tarOf(name, content) {
	const pack = tarStream.pack();

	pack.entry({name, uid: 7, gid: 8}, content);
	pack.finalize();
	return pack;
}

async function untar(stream) {
	const found = {}, extract = tarStream.extract();

	extract.on("entry", (header, body, next) => {
		tap.collect(body).then((data) => { found[header.name] = data.toString(); next(); });
	});
	await new Promise((resolve, reject) => {
		extract.on("finish", resolve);
		extract.on("error", reject);
		stream.pipe(extract);
	});
	return found;
}

const cases = {
	async system() {
		assert.strictEqual(String(await docker.ping()), "OK");
		assert.strictEqual((await docker.version()).ApiVersion, "1.51");
		assert.strictEqual((await docker.info()).OSType, "linux");
		const old = new Docker({host: "127.0.0.1", port: process.env.DOCKER_TCP_PORT, version: "v1.24"});

		assert.deepStrictEqual(await old.listContainers({all: true}), []);
		await fails(404, docker.getContainer("nothing").inspect());
		await fails(404, docker.createContainer({Image: "nothing-of-the-sort"}));
	},

	async run() {
		const out = new PassThrough(), said = tap.collect(out);
		const [result, c] = await docker.run("busybox", ["sh", "-c", "echo hello; exit 3"], out);

		assert.strictEqual(result.StatusCode, 3);
		assert.match(String(await said), /hello/);
		await c.remove();

		const outs = [new PassThrough(), new PassThrough()];
		const both = Promise.all(outs.map(tap.collect));
		const [again, d] = await docker.run("busybox", ["sh", "-c", "echo out; echo err >&2"], outs,
						    {Tty: false, HostConfig: {AutoRemove: false}});

		assert.strictEqual(again.StatusCode, 0); // which may come before the output: that ends by itself
		assert.deepStrictEqual((await both).map(String), ["out\n", "err\n"]);
		await d.remove();
	},

	async "attach to a created container, with half-close"() {
		const c = await docker.createContainer({Image: "busybox", Cmd: ["cat"], OpenStdin: true, StdinOnce: true,
							AttachStdin: true, AttachStdout: true});
		const stream = await c.attach({stream: true, stdin: true, stdout: true, stderr: true, hijack: true});
		const said = demux(stream);

		await c.start();
		stream.write("over\n");
		stream.end();
		assert.deepStrictEqual(await said, ["over\n", ""]);
		assert.strictEqual((await c.wait()).StatusCode, 0);
		await c.remove();
	},

	async "attach with a terminal, and resize"() {
		const c = await docker.createContainer({Image: "busybox", Tty: true, OpenStdin: true,
							Cmd: ["sh", "-c", "read x; stty size; echo got $x"]});
		const stream = await c.attach({stream: true, stdin: true, stdout: true, hijack: true});
		const said = tap.collect(stream);

		await c.start();
		await c.resize({h: 33, w: 77});
		stream.write("line\n");
		const text = String(await said);

		assert.match(text, /33 77/);
		assert.match(text, /got line/);
		await c.remove();
	},

	async exec() {
		const c = await sleeper();
		const e = await c.exec({Cmd: ["sh", "-c", "echo out; echo err >&2; pwd; id -u; echo $A; exit 4"],
					AttachStdout: true, AttachStderr: true, Env: ["A=b"], User: "1000", WorkingDir: "/tmp"});
		const [out, err] = await demux(await e.start({hijack: true}));

		assert.strictEqual(out, "out\n/tmp\n1000\nb\n");
		assert.strictEqual(err, "err\n");
		const seen = await e.inspect();

		assert.strictEqual(seen.ExitCode, 4);
		assert.strictEqual(seen.Running, false);

		const cat = await c.exec({Cmd: ["cat"], AttachStdin: true, AttachStdout: true});
		const stream = await cat.start({hijack: true, stdin: true});
		const said = demux(stream);

		stream.end("through\n");
		assert.deepStrictEqual(await said, ["through\n", ""]);

		const tty = await c.exec({Cmd: ["tty"], AttachStdout: true, Tty: true});

		assert.match(String(await tap.collect(await tty.start({Tty: true, hijack: true}))), /\/dev\/pts/);
		await fails(400, c.exec({Cmd: []}));
		await c.remove({force: true});
	},

	async "logs: followed, whole, since"() {
		const c = await docker.createContainer({Image: "busybox", OpenStdin: true,
							Cmd: ["sh", "-c", "echo one; echo two >&2; read x; echo three"]});
		const stdin = await c.attach({stream: true, stdin: true, hijack: true});

		await c.start();
		const follow = await c.logs({follow: true, stdout: true, stderr: true});
		const out = new PassThrough();

		c.modem.demuxStream(follow, out, out);
		await lines(out, 2);
		stdin.write("go\n");
		await lines(out, 1);
		await c.wait();
		const whole = await c.logs({stdout: true, stderr: false, timestamps: true});

		assert.match(whole.toString("utf8", 8), /^\d{4}-\d\d-\d\dT[\d:.]+Z one/);
		assert.strictEqual((await c.logs({stdout: true, stderr: true, tail: 1})).toString("utf8", 8), "three\n");
		assert.strictEqual((await c.logs({stdout: true, since: Math.floor(Date.now() / 1000) + 1000})).length, 0);
		await fails(400, c.logs({}));
		await c.remove();
	},

	async events() {
		const stream = await docker.getEvents({filters: {type: ["container"], event: ["create", "start", "die", "destroy"]}});
		const seen = lines(stream, 4);
		const c = await docker.createContainer({Image: "busybox", Cmd: ["true"], name: "eventful"});

		await c.start();
		await c.wait();
		await c.remove();
		const events = (await seen).map(JSON.parse);

		assert.deepStrictEqual(events.map((e) => e.Action), ["create", "start", "die", "destroy"]);
		assert.strictEqual(events[2].Actor.Attributes.exitCode, "0");
		assert.ok(events.every((e) => e.Actor.Attributes.name === "eventful"));
		stream.destroy();
	},

	async stats() {
		const c = await sleeper();
		const stream = await c.stats({stream: true});
		const [first, second] = (await lines(stream, 2)).map(JSON.parse);

		assert.strictEqual(first.id, c.id);
		assert.ok(second.cpu_stats.system_cpu_usage > second.precpu_stats.system_cpu_usage);
		assert.ok(second.memory_stats.usage > 0);
		stream.destroy();
		const once = await c.stats({stream: false, "one-shot": true});

		assert.ok(once.pids_stats.current > 0);
		await c.remove({force: true});
	},

	async archives() {
		const c = await sleeper();

		await c.putArchive(tarOf("file", "x".repeat(70000)), {path: "/tmp"});
		await c.putArchive(zlib.gzipSync(await tap.collect(tarOf("zipped", "z"))), {path: "/tmp"});
		const stat = await c.infoArchive({path: "/tmp/file"});

		stat.resume();
		const header = JSON.parse(Buffer.from(stat.headers["x-docker-container-path-stat"], "base64"));

		assert.strictEqual(header.name, "file");
		assert.strictEqual(header.size, 70000);
		assert.deepStrictEqual(await untar(await c.getArchive({path: "/tmp/file"})), {file: "x".repeat(70000)});
		assert.deepStrictEqual(await untar(await c.getArchive({path: "/tmp/zipped"})), {zipped: "z"});
		await fails(404, c.getArchive({path: "/nothing"}));
		assert.ok("tmp/file" in await untar(await c.export()));
		assert.ok((await c.changes()).some((x) => x.Path === "/tmp/file" && x.Kind === 1));
		await c.remove({force: true});
	},

	async "life: stop, restart, pause, rename, update, top"() {
		const c = await sleeper({name: "lively", Labels: {kind: "test"}});

		await fails(304, c.start());
		await c.pause();
		assert.strictEqual((await c.inspect()).State.Paused, true);
		await c.unpause();
		await c.rename({name: "livelier"});
		await c.restart({t: 0});
		await c.update({Memory: 64 << 20, MemorySwap: -1});
		assert.strictEqual((await c.inspect()).HostConfig.Memory, 64 << 20);
		assert.ok((await c.top({ps_args: "aux"})).Titles.length > 5);
		assert.strictEqual((await docker.listContainers({filters: {label: ["kind=test"]}})).length, 1);
		assert.strictEqual((await docker.listContainers({filters: JSON.stringify({name: ["livelier"]})}))[0].Names[0], "/livelier");
		await c.stop({t: 0});
		await fails(304, c.stop());
		await fails(409, c.kill());
		await fails(409, docker.createContainer({Image: "busybox", name: "livelier"}));
		await c.remove({v: true});
		await fails(404, c.remove());
	},

	async "networks and volumes"() {
		const net = await docker.createNetwork({Name: "nodenet", CheckDuplicate: true, Labels: {kind: "test"}});
		const volume = await docker.createVolume({Name: "nodevol", Labels: {kind: "test"}});
		const c = await sleeper({name: "noded", HostConfig: {Binds: ["nodevol:/data"], NetworkMode: "nodenet"}});

		assert.ok((await net.inspect()).Containers[c.id]);
		await net.disconnect({Container: c.id});
		await net.connect({Container: c.id, EndpointConfig: {Aliases: ["other"]}});
		assert.ok((await c.inspect()).NetworkSettings.Networks.nodenet.IPAddress);
		assert.strictEqual((await docker.listNetworks({filters: {name: ["nodenet"]}})).length, 1);
		assert.strictEqual((await docker.listVolumes({filters: {label: ["kind=test"]}})).Volumes.length, 1);
		await fails(409, docker.getVolume("nodevol").remove());
		await c.remove({force: true});
		await volume.remove();
		await net.remove();
	},

	async images() {
		const image = docker.getImage("busybox");

		assert.ok((await image.inspect()).RepoTags.includes("busybox:latest"));
		await image.tag({repo: "nodeimage", tag: "one"});
		const saved = await tap.collect(await docker.getImage("nodeimage:one").get());

		await docker.getImage("nodeimage:one").remove();
		const progress = await docker.loadImage(PassThrough.from([saved]));
		const said = await new Promise((resolve, reject) =>
			docker.modem.followProgress(progress, (problem, output) => problem ? reject(problem) : resolve(output)));

		assert.match(said.map((x) => x.stream).join(""), /Loaded image: nodeimage:one/);
		await docker.getImage("nodeimage:one").remove();
		assert.ok((await docker.df()).Images.length > 0);
	},

	async prune() {
		const c = await docker.createContainer({Image: "busybox", Cmd: ["true"], Labels: {pruned: "yes"}});

		assert.deepStrictEqual((await docker.pruneContainers({filters: {label: {"pruned=yes": true}}})).ContainersDeleted, [c.id]);
	},

	async "outside a swarm"() {
		await fails(503, docker.listServices());
		await fails(503, docker.swarmInspect());
		assert.deepStrictEqual(await docker.listPlugins(), []);
	},
};

tap.run("dockerode", cases, process.argv[2]);
