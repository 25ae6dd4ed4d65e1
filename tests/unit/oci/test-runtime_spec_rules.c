/* The rules of config.json, one small document for each: what the specification allows is accepted,
 * and every refusal names the member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "oci/runtime_spec.h"

/* Members in single quotes, for legibility: */
#define TOP(members)     "{'ociVersion':'1.3.0','root':{'path':'r'}" members "}"
#define PROCESS(members) TOP(",'process':{'cwd':'/','args':['a']" members "}")
#define LINUX(members)                                                                            \
	TOP(",'linux':{'namespaces':[{'type':'mount'},{'type':'network'},{'type':'ipc'}]" members \
	    "}")
#define RESOURCES(members) LINUX(",'resources':{" members "}")
#define SCHEDULER(members) PROCESS(",'scheduler':{" members "}")
#define POLICY(members)    LINUX(",'memoryPolicy':{" members "}")

static int parse(const char *quoted, struct error *err)
{
	autoarena struct arena *a = arena_new();
	char *text = arena_strdup(a, quoted);
	struct oci_spec spec;

	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	return oci_spec_parse(a, text, strlen(text), &spec, err);
}

static void accepted(void **state)
{
	static const char *const documents[] = {
		TOP(""),
		"{'ociVersion':'1.0.0','root':{'path':'/abs','readonly':true}}",
		"{'ociVersion':'1.3.0-rc.1','root':{'path':'r'}}",
		"{'ociVersion':'1.99.7+dev','root':{'path':'r'}}",
		"{'ociVersion':'0.5.0-dev','root':{'path':'r'}}",
		/* extensibility: unknown properties are ignored, at every level */
		TOP(",'freebsd':{'jail':{}},'newer':[1,{}],'x':null"),
		PROCESS(",'newer':true,'user':{'uid':1,'gid':2,'username':'x','newer':1}"),
		LINUX(",'newer':{},'resources':{'newer':1,'memory':{'newer':1}}"),
		/* null is absence */
		PROCESS(",'scheduler':null,'ioPriority':null,'capabilities':null,'rlimits':null"),
		LINUX(",'seccomp':null,'intelRdt':null,'personality':null,'netDevices':null"),
		TOP(",'process':null,'hooks':null,'mounts':null,'linux':null"),
		/* process */
		PROCESS(",'commandLine':''"),
		PROCESS(",'env':[],'terminal':true,'consoleSize':{'height':65535,'width':1}"),
		PROCESS(",'env':['A=b=c','EMPTY=']"),
		PROCESS(",'user':{'umask':511,'additionalGids':[]}"),
		PROCESS(",'capabilities':{'bounding':['CAP_UNKNOWN','cap_chown']}"),
		PROCESS(",'rlimits':[{'type':'RLIMIT_NOFILE','soft':0,'hard':18446744073709551615}"
			"]"),
		PROCESS(",'oomScoreAdj':-1000"),
		SCHEDULER("'policy':'SCHED_OTHER','nice':-20"),
		SCHEDULER("'policy':'SCHED_RR','priority':99"),
		SCHEDULER("'policy':'SCHED_ISO'"),
		SCHEDULER("'policy':'SCHED_DEADLINE','runtime':1,'deadline':2,'period':3,'flags':["
			  "'SCHED_FLAG_RECLAIM','SCHED_FLAG_KEEP_POLICY','SCHED_FLAG_KEEP_PARAMS',"
			  "'SCHED_FLAG_UTIL_CLAMP_MIN','SCHED_FLAG_UTIL_CLAMP_MAX']"),
		PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_RT'}"),
		PROCESS(",'execCPUAffinity':{}"),
		PROCESS(",'execCPUAffinity':{'initial':'0','final':'0-2, 4'}"),
		/* linux */
		LINUX(",'netDevices':{'eth0':{'name':'container_eth0'},'ens4':{},'ens5':{}}"),
		TOP(",'linux':{'netDevices':{'eth0':{'name':'eth%d'}}}"),
		LINUX(",'sysctl':{'net.ipv4.ip_forward':'1','net/ipv4/conf/eth0.1/forwarding':'1',"
		      "'kernel.shmmax':'1','fs.mqueue.msg_max':'1'}"),
		LINUX(",'personality':{'domain':'LINUX','flags':[]}"),
		POLICY("'mode':'MPOL_DEFAULT'"),
		POLICY("'mode':'MPOL_BIND','nodes':'0-3,7','flags':['MPOL_F_NUMA_BALANCING']"),
		POLICY("'mode':'MPOL_PREFERRED'"),
		LINUX(",'intelRdt':{}"),
		LINUX(",'intelRdt':{'closID':'/','schemata':[],'l3CacheSchema':'L3:0=f'}"),
		LINUX(",'seccomp':{'defaultAction':'x','listenerPath':'/"
		      "l','listenerMetadata':'m'}"),
		LINUX(",'maskedPaths':[],'readonlyPaths':['/proc/sys'],'mountLabel':''"),
		LINUX(",'devices':[{'type':'p','path':'/fifo'}]"),
		RESOURCES("'hugepageLimits':[{'pageSize':'64KB','limit':1},{'pageSize':'1GB','"
			  "limit':0}]"),
		RESOURCES("'rdma':{'mlx5_1':{'hcaHandles':3,'hcaObjects':4},'rxe3':{'hcaObjects':1}"
			  "}"),
		/* hooks */
		TOP(",'hooks':{'prestart':[],'poststop':[{'path':'/"
		    "x','timeout':1,'env':['A=b']}]}"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		struct error err = {0};

		if (parse(documents[i], &err) < 0)
			fail_msg("%s: %s", documents[i], error_msg(&err));
	}
}

struct refusal {
	const char *text, *message;
};

static void check_refused(const struct refusal *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct error err = {0};

		if (parse(cases[i].text, &err) >= 0)
			fail_msg("accepted: %s", cases[i].text);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("'%s' is not in '%s'", cases[i].message, err.msg);
		error_done(&err);
	}
}

static void refused_documents(void **state)
{
	static const struct refusal cases[] = {
		{"{", "config.json"},
		{"{]", "line 1"},
		{"[]", "expected an object"},
		{"{}", "ociVersion"},
		{"{'ociVersion':'1.0.0'}", "root"},
		{"{'ociVersion':'2.0.0','root':{'path':'r'}}", "ociVersion"},
		{"{'ociVersion':'10.0.0','root':{'path':'r'}}", "ociVersion"},
		{"{'ociVersion':'1.3','root':{'path':'r'}}", "ociVersion"},
		{"{'ociVersion':'1.3.0-','root':{'path':'r'}}", "ociVersion"},
		{"{'ociVersion':'v1.3.0','root':{'path':'r'}}", "ociVersion"},
		{"{'ociVersion':'','root':{'path':'r'}}", "ociVersion"},
		{"{'ociVersion':1,'root':{'path':'r'}}", "ociVersion"},
		{"{'ociVersion':'1.0.0','root':{'path':''}}", "root.path"},
		{"{'ociVersion':'1.0.0','root':{}}", "root.path"},
		{TOP(",'hostname':'h'"), "hostname"},
		{TOP(",'domainname':'h'"), "domainname"},
		{TOP(",'annotations':{'a':1}"), "annotations.a"},
		{TOP(",'mounts':[{'type':'proc'}]"), "mounts[0].destination"},
		{TOP(",'mounts':{}"), "mounts"},
		{TOP(",'mounts':[{'destination':'/x','uidMappings':[{}]}]"),
		 "mounts[0].uidMappings[0].containerID"},
		{TOP(",'hooks':{'poststop':[{'path':'relative'}]}"), "hooks.poststop[0].path"},
		{TOP(",'hooks':{'poststop':[{}]}"), "hooks.poststop[0].path"},
		{TOP(",'hooks':{'prestart':[{'path':'/x','timeout':0}]}"),
		 "hooks.prestart[0].timeout"},
		{TOP(",'hooks':{'createRuntime':[{'path':'/x','timeout':-1}]}"),
		 "hooks.createRuntime[0].timeout"},
	};

	(void)state;
	check_refused(cases, ARRAY_SIZE(cases));
}

static void refused_processes(void **state)
{
	static const struct refusal cases[] = {
		{TOP(",'process':{'args':['a']}"), "process.cwd"},
		{TOP(",'process':{'cwd':'x','args':['a']}"), "process.cwd"},
		{TOP(",'process':{'cwd':'/','args':[]}"), "process.args"},
		{TOP(",'process':{'cwd':'/'}"), "process.args"},
		{PROCESS(",'commandLine':'a b'"), "process.commandLine"},
		{PROCESS(",'env':['novalue']"), "process.env[0]"},
		{PROCESS(",'env':['A=1','=x']"), "process.env[1]"},
		{PROCESS(",'terminal':'yes'"), "process.terminal"},
		{PROCESS(",'consoleSize':{'height':65536,'width':1}"),
		 "process.consoleSize.height"},
		{PROCESS(",'user':{'uid':-1}"), "process.user.uid"},
		{PROCESS(",'user':{'uid':4294967296}"), "process.user.uid"},
		{PROCESS(",'user':{'gid':'x'}"), "process.user.gid"},
		{PROCESS(",'user':{'umask':512}"), "process.user.umask"},
		{PROCESS(",'user':{'additionalGids':['x']}"), "additionalGids"},
		{PROCESS(",'oomScoreAdj':1001"), "process.oomScoreAdj"},
		{PROCESS(",'capabilities':{'ambient':'CAP_KILL'}"), "process.capabilities.ambient"},
		{PROCESS(",'rlimits':[{'type':'RLIMIT_CORE','soft':2,'hard':1}]"),
		 "process.rlimits[0]"},
		{PROCESS(",'rlimits':[{'type':'RLIMIT_CORE','soft':2}]"),
		 "process.rlimits[0].hard"},
		{PROCESS(",'rlimits':[{'type':'RLIMIT_MOON','soft':1,'hard':1}]"),
		 "process.rlimits[0].type"},
		{PROCESS(",'rlimits':[{'type':'RLIMIT_CPU','soft':1,'hard':1},{'type':"
			 "'RLIMIT_CPU','soft':1,'hard':1}]"),
		 "process.rlimits[1]"},
		{SCHEDULER(""), "process.scheduler.policy"},
		{SCHEDULER("'policy':'SCHED_X'"), "process.scheduler.policy"},
		{SCHEDULER("'policy':'SCHED_BATCH','nice':20"), "process.scheduler.nice"},
		{SCHEDULER("'policy':'SCHED_BATCH','priority':1"), "process.scheduler.priority"},
		{SCHEDULER("'policy':'SCHED_RR','runtime':1"), "process.scheduler.runtime"},
		{SCHEDULER("'policy':'SCHED_RR','deadline':1"), "process.scheduler.deadline"},
		{SCHEDULER("'policy':'SCHED_RR','flags':['X']"), "process.scheduler.flags"},
		{SCHEDULER("'policy':'SCHED_RR','flags':'SCHED_FLAG_RECLAIM'"),
		 "process.scheduler.flags"},
		{PROCESS(",'ioPriority':{}"), "process.ioPriority.class"},
		{PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_X'}"), "process.ioPriority.class"},
		{PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':8}"),
		 "process.ioPriority.priority"},
		{PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':-1}"),
		 "process.ioPriority.priority"},
		{PROCESS(",'execCPUAffinity':{'initial':'0-'}"), "process.execCPUAffinity.initial"},
		{PROCESS(",'execCPUAffinity':{'final':'a'}"), "process.execCPUAffinity.final"},
		{PROCESS(",'execCPUAffinity':{'final':'3-1'}"), "process.execCPUAffinity.final"},
		{PROCESS(",'execCPUAffinity':{'final':'99999'}"), "process.execCPUAffinity.final"},
	};

	(void)state;
	check_refused(cases, ARRAY_SIZE(cases));
}

#define NAMESPACES(list) TOP(",'linux':{'namespaces':[" list "]}")

static void refused_settings(void **state)
{
	static const struct refusal cases[] = {
		{NAMESPACES("{'type':'pid'},{'type':'pid'}"), "linux.namespaces"},
		{NAMESPACES("{'type':'moon'}"), "unknown namespace 'moon'"},
		{NAMESPACES("{}"), "linux.namespaces"},
		{NAMESPACES("{'type':'pid','path':'x'}"), "not absolute"},
		{NAMESPACES("{'type':'user'}"), "linux.uidMappings"},
		{LINUX(",'uidMappings':[{'containerID':0,'hostID':0,'size':1}]"),
		 "linux.uidMappings"},
		{LINUX(",'timeOffsets':{'boottime':{'secs':1}}"), "linux.timeOffsets"},
		{NAMESPACES("{'type':'time'}],'timeOffsets':{'monotonic':{'nanosecs':1000000000}},"
			    "'maskedPaths':["),
		 "linux.timeOffsets.monotonic"},
		{LINUX(",'rootfsPropagation':'sideways'"), "linux.rootfsPropagation"},
		{LINUX(",'devices':[{'type':'c','path':'null'}]"), "linux.devices[0]"},
		{LINUX(",'devices':[{'type':'x','path':'/dev/null'}]"), "linux.devices[0].type"},
		{LINUX(",'devices':[{'path':'/dev/null'}]"), "linux.devices[0].type"},
		{LINUX(",'maskedPaths':['proc']"), "linux.maskedPaths[0]"},
		{LINUX(",'readonlyPaths':['/x','proc']"), "linux.readonlyPaths[1]"},
		{LINUX(",'sysctl':{'vm.swappiness':'1'}"), "linux.sysctl: 'vm.swappiness'"},
		{LINUX(",'sysctl':{'net/../vm/swappiness':'1'}"), "linux.sysctl"},
		{LINUX(",'sysctl':{'network.x':'1'}"), "linux.sysctl"},
		{LINUX(",'sysctl':{'kernel.hostname':'x'}"), "uts namespace"},
		{LINUX(",'sysctl':{'net.ipv4.ip_forward':1}"), "linux.sysctl"},
		{LINUX(",'personality':{}"), "linux.personality.domain"},
		{LINUX(",'personality':{'domain':'X'}"), "linux.personality.domain"},
		{LINUX(",'personality':{'domain':'LINUX','flags':['X']}"),
		 "linux.personality.flags"},
		{POLICY(""), "linux.memoryPolicy.mode"},
		{POLICY("'mode':'MPOL_X'"), "linux.memoryPolicy.mode"},
		{POLICY("'mode':'MPOL_BIND'"), "linux.memoryPolicy.nodes"},
		{POLICY("'mode':'MPOL_LOCAL','nodes':'0'"), "linux.memoryPolicy.nodes"},
		{POLICY("'mode':'MPOL_BIND','nodes':'0;1'"), "linux.memoryPolicy.nodes"},
		{POLICY("'mode':'MPOL_BIND','nodes':'0','flags':['X']"),
		 "linux.memoryPolicy.flags"},
		{LINUX(",'intelRdt':{'memBwSchema':'0=20'}"), "linux.intelRdt.memBwSchema"},
		{LINUX(",'intelRdt':{'l3CacheSchema':'L3:0=f\\nMB:0=1'}"),
		 "linux.intelRdt.l3CacheSchema"},
		{LINUX(",'intelRdt':{'schemata':['a','b\\nc']}"), "linux.intelRdt.schemata[1]"},
		{LINUX(",'intelRdt':{'closID':'../x'}"), "linux.intelRdt.closID"},
		{LINUX(",'intelRdt':{'closID':'..'}"), "linux.intelRdt.closID"},
		{LINUX(",'netDevices':{'eth0':{'name':23}}"), "linux.netDevices.eth0.name"},
		{LINUX(",'netDevices':{'eth0':{'name':'a/b'}}"), "linux.netDevices.eth0.name"},
		{LINUX(",'netDevices':{'eth0':{'name':'a%s'}}"), "linux.netDevices.eth0.name"},
		{LINUX(",'netDevices':{'a name of more than fifteen':{}}"), "linux.netDevices"},
		{LINUX(",'netDevices':{'a':{'name':'x'},'b':{'name':'x'}}"),
		 "linux.netDevices.b.name"},
		{LINUX(",'netDevices':[]"), "linux.netDevices"},
		{LINUX(",'seccomp':{'defaultAction':'x','listenerMetadata':'m'}"),
		 "linux.seccomp.listenerMetadata"},
		{LINUX(",'seccomp':[]"), "linux.seccomp"},
		{LINUX(",'seccomp':{'listenerPath':1}"), "linux.seccomp.listenerPath"},
	};

	(void)state;
	check_refused(cases, ARRAY_SIZE(cases));
}

static void refused_resources(void **state)
{
	static const struct refusal cases[] = {
		{RESOURCES("'memory':{'swappiness':101}"), "linux.resources.memory.swappiness"},
		{RESOURCES("'memory':{'limit':'1g'}"), "linux.resources.memory.limit"},
		{RESOURCES("'blockIO':{'weight':5}"), "linux.resources.blockIO.weight"},
		{RESOURCES("'unified':{'../x':'1'}"), "linux.resources.unified"},
		{RESOURCES("'devices':[{'allow':true,'access':'rwx'}]"),
		 "linux.resources.devices[0].access"},
		{RESOURCES("'devices':[{'access':'r'}]"), "linux.resources.devices[0].allow"},
		{RESOURCES("'hugepageLimits':[{'limit':1}]"),
		 "linux.resources.hugepageLimits[0].pageSize"},
		{RESOURCES("'hugepageLimits':[{'pageSize':'64kB','limit':1}]"),
		 "linux.resources.hugepageLimits[0].pageSize"},
		{RESOURCES("'hugepageLimits':[{'pageSize':'02MB','limit':1}]"),
		 "linux.resources.hugepageLimits[0].pageSize"},
		{RESOURCES("'rdma':{'mlx5_1':{'hcaHandles':'x'}}"),
		 "linux.resources.rdma.mlx5_1.hcaHandles"},
		{RESOURCES("'pids':{'limit':'x'}"), "linux.resources.pids"},
	};

	(void)state;
	check_refused(cases, ARRAY_SIZE(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),          cmocka_unit_test(refused_documents),
		cmocka_unit_test(refused_processes), cmocka_unit_test(refused_settings),
		cmocka_unit_test(refused_resources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
