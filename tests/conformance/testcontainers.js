// testcontainers' common flows: containers, what to wait for, files, execs, networks.
"use strict";

const assert = require("assert");
const {GenericContainer, Network, Wait, getContainerRuntimeClient} = require("testcontainers");
const tap = require("tap.js");

const SERVER = ["httpd", "-f", "-p", "80", "-h", "/www"];

async function page(container, port, path = "/") {
	const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(port)}${path}`);

	return answer.text();
}

const cases = {
	async client() {
		const client = await getContainerRuntimeClient();

		assert.strictEqual(client.info.containerRuntime.host, "127.0.0.1");
		assert.strictEqual(client.info.containerRuntime.operatingSystemType, "linux");
	},

	async "until a port listens"() {
		const c = await new GenericContainer("busybox").withCommand(SERVER).withExposedPorts(80).start();

		assert.strictEqual(await page(c, 80), "hello\n");
		assert.ok(c.getName());
		await c.stop();
	},

	async "until the log says so"() {
		const c = await new GenericContainer("busybox")
			.withCommand(["sh", "-c", "echo starting; echo 'ready to serve 1'; echo 'ready to serve 2' >&2; sleep 1000"])
			.withWaitStrategy(Wait.forLogMessage(/ready to serve \d/, 2)).start();
		const log = await c.logs();
		const first = await new Promise((resolve) => log.on("data", resolve));

		assert.match(String(first), /starting/);
		log.destroy();
		await c.stop({timeout: 0});
	},

	async "until it is healthy"() {
		const c = await new GenericContainer("busybox")
			.withCommand(["sh", "-c", "touch /tmp/up; sleep 1000"])
			.withHealthCheck({test: ["CMD-SHELL", "test -e /tmp/up"], interval: 100, timeout: 60000, retries: 1000})
			.withWaitStrategy(Wait.forHealthCheck()).start();

		await c.stop({timeout: 0});
	},

	async "until a page or a command answers"() {
		const c = await new GenericContainer("busybox").withCommand(SERVER).withExposedPorts(80)
			.withWaitStrategy(Wait.forAll([Wait.forHttp("/index.html", 80).forStatusCode(200),
						       Wait.forSuccessfulCommand("wget -qO- http://127.0.0.1/")])).start();

		await c.stop({timeout: 0});
	},

	async "a command that ends"() {
		const c = await new GenericContainer("busybox").withCommand(["true"])
			.withWaitStrategy(Wait.forOneShotStartup()).start();

		await c.stop();
		await assert.rejects(new GenericContainer("busybox").withCommand(["false"])
			.withWaitStrategy(Wait.forOneShotStartup()).start());
		const client = await getContainerRuntimeClient();

		for (const left of await client.container.dockerode.listContainers({all: true}))
			await client.container.dockerode.getContainer(left.Id).remove({force: true});
	},

	async "environment, labels, user, mounts, limits"() {
		const c = await new GenericContainer("busybox").withName("tc-many").withEnvironment({A: "b"}).withLabels({kind: "test"})
			.withCommand(["sleep", "1000"]).withUser("1000").withWorkingDir("/tmp").withTmpFs({"/scratch": "rw,size=1m"})
			.withUlimits({nofile: {soft: 100, hard: 200}}).withAddedCapabilities("NET_ADMIN").withDroppedCapabilities("CHOWN")
			.withResourcesQuota({memory: 0.5, cpu: 0.5}).withSharedMemorySize(1 << 20).withHostname("beacon")
			.withExtraHosts([{host: "other", ipAddress: "192.0.2.7"}]).withIpcMode("private").start();
		const {output, exitCode} = await c.exec(["sh", "-c", "echo $A; id -u; pwd; hostname; grep -c other /etc/hosts; ulimit -n"]);

		assert.strictEqual(exitCode, 0);
		assert.strictEqual(output, "b\n1000\n/tmp\nbeacon\n1\n100\n");
		assert.strictEqual(c.getLabels().kind, "test");
		await c.stop({timeout: 0});
	},

	async exec() {
		const c = await new GenericContainer("busybox").withCommand(["sleep", "1000"]).start();
		const result = await c.exec(["sh", "-c", "echo out; echo err >&2; exit 5"]);

		assert.strictEqual(result.exitCode, 5);
		assert.strictEqual(result.stdout, "out\n");
		assert.strictEqual(result.stderr, "err\n");
		const other = await c.exec("id -u", {user: "1000", workingDir: "/tmp", env: {A: "b"}});

		assert.strictEqual(other.output.trim(), "1000");
		await c.restart({timeout: 0});
		await c.stop({timeout: 0});
	},

	async "files in and out"() {
		const c = await new GenericContainer("busybox").withCommand(["sleep", "1000"])
			.withCopyContentToContainer([{content: "text\n", target: "/tmp/made", mode: 0o640}]).start();

		assert.strictEqual((await c.exec("cat /tmp/made")).output, "text\n");
		assert.strictEqual((await c.exec("stat -c %a /tmp/made")).output, "640\n");
		await c.copyContentToContainer([{content: "later\n", target: "/var/lib/x/later"}]);
		assert.strictEqual((await c.exec("cat /var/lib/x/later")).output, "later\n");
		const archive = await tap.collect(await c.copyArchiveFromContainer("/tmp/made"));

		assert.strictEqual(archive.toString("utf8", 0, 4), "made");
		await c.stop({timeout: 0});
	},

	async "networks and aliases"() {
		const net = await new Network().start();
		const server = await new GenericContainer("busybox").withCommand(SERVER).withNetwork(net)
			.withNetworkAliases("shop").withExposedPorts(80).start();
		const client = await new GenericContainer("busybox").withCommand(["sleep", "1000"]).withNetwork(net).start();

		assert.strictEqual((await client.exec("wget -qO- http://shop/")).output, "hello\n");
		assert.ok(server.getIpAddress(net.getName()));
		await client.stop({timeout: 0});
		await server.stop({timeout: 0});
		await net.stop();
	},

	async "reuse of a container"() {
		const one = await new GenericContainer("busybox").withCommand(["sleep", "1000"]).withReuse().start();
		const two = await new GenericContainer("busybox").withCommand(["sleep", "1000"]).withReuse().start();

		assert.strictEqual(one.getId(), two.getId());
		await two.stop({timeout: 0});
	},

	async "an image that is not there"() {
		await assert.rejects(new GenericContainer("127.0.0.1:1/nothing:1").start());
	},
};

tap.run("testcontainers", cases, process.argv[2]);
