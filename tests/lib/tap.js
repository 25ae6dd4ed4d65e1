// What the tests in JavaScript share: TAP on standard output, a case after the other.
"use strict";

const TIMEOUT_MS = 1000 * Number(process.env.VESSEL_TEST_TIMEOUT_S || 120);

// Run {name: async function} in order; each has TIMEOUT_MS, a bound that no case meets.
async function run(prefix, cases, only) {
	let count = 0, failed = 0;

	for (const [name, fn] of Object.entries(cases)) {
		if (only && !name.includes(only))
			continue;
		let timer;
		const late = new Promise((_, reject) => {
			timer = setTimeout(() => reject(new Error("did not end")), TIMEOUT_MS);
		});

		count++;
		try {
			await Promise.race([fn(), late]);
			console.log(`ok ${count} ${prefix}: ${name}`);
		} catch (problem) {
			failed++;
			console.log(`not ok ${count} ${prefix}: ${name}`);
			for (const line of String(problem.stack || problem).split("\n"))
				console.log(`# ${line}`);
		}
		clearTimeout(timer);
	}
	console.log(`1..${count}`);
	process.exit(failed ? 1 : 0);
}

// The first `count` items of an emitter's event.
function items(emitter, event, count) {
	return new Promise((resolve, reject) => {
		const seen = [];

		emitter.on(event, (item) => {
			seen.push(item);
			if (seen.length === count)
				resolve(seen);
		});
		emitter.on("error", reject);
	});
}

// All that a stream says until its end.
function collect(stream) {
	return new Promise((resolve, reject) => {
		const parts = [];

		stream.on("data", (part) => parts.push(part));
		stream.on("end", () => resolve(Buffer.concat(parts)));
		stream.on("error", reject);
	});
}

module.exports = {run, items, collect};
