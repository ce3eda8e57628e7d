// Package e2e tests the tool as its users meet it: the built program, run in a
// folder of its own against a host of its own, and spoken to over HTTP. Tests
// look at what is printed, at exit codes and at what answers, never inside.
//
// Every test has its own ANYFAAS_HOME, so tests run side by side and leave
// nothing behind; the harness fails a test that leaves a process or a socket.
//
// What needs Node.js or Python is skipped where they are absent. MUST_RUN, a
// list such as "node,python,net", turns those skips into failures, so that a
// build server cannot go green by missing its tools. These are asked for by
// name, since they take minutes:
//
//	CRASH_RUNS=30        kill that many deploys at random moments (default 6)
//	PULUMI_COMMAND=path  let the pulumi command of the engine's version read our state
//	CHECK_TYPES=1        let the TypeScript compiler look at examples and templates
//	BENCH_HTTP=1         measure HTTP beside other Node.js servers
package e2e
