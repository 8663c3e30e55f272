/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fd_store.c - see fd_store.h.
 *
 * The manager does not say to a service why it is stopped. It has a job for it, which says so: "restart" until the
 * service has stopped. A supervisor that cannot ask it stops for good, which is always safe: it only costs the mount.
 */
#include "node-agent/fd_store.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"

#define MEMORY "daxfs-estate"
#define CONNECTION "daxfs-connection"
#define DOORS "daxfs-doors" /* any of them is as good as another */

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define PRIVATE_BUS "unix:path=/run/systemd/private" /* where there is no message bus, or none that answers */
#define PATIENCE_US 5000000

/* -- giving --------------------------------------------------------------------------- */

/* FDPOLL=0: a connection that is not mounted yet looks like one that has failed. */
static bool keep(const char *name, const int *fds, unsigned n)
{
	char text[96];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return sd_pid_notify_with_fds(0, 0, text, fds, n) > 0;
}

bool fd_store_keep(const struct estate *e)
{
	int doors[ESTATE_DOORS];

	for (unsigned i = 0; i < ESTATE_DOORS; i++)
		doors[i] = estate_door(e, i);
	return keep(MEMORY, &e->fd, 1) && keep(CONNECTION, &e->fuse_fd, 1) && keep(DOORS, doors, ESTATE_DOORS);
}

void fd_store_forget(void)
{
	sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" MEMORY);
	sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" CONNECTION);
	sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" DOORS);
}

/* -- taking ----------------------------------------------------------------------------- */

struct kept {
	int memory, connection, door[ESTATE_DOORS];
	unsigned n_doors;
};

static void sort_in(struct kept *k, int fd, const char *name)
{
	if (!strcmp(name, MEMORY) && k->memory < 0)
		k->memory = fd;
	else if (!strcmp(name, CONNECTION) && k->connection < 0)
		k->connection = fd;
	else if (!strcmp(name, DOORS) && k->n_doors < ESTATE_DOORS)
		k->door[k->n_doors++] = fd;
	else
		close(fd);
}

static void close_all(const struct kept *k)
{
	if (k->memory >= 0)
		close(k->memory);
	if (k->connection >= 0)
		close(k->connection);
	for (unsigned i = 0; i < k->n_doors; i++)
		close(k->door[i]);
}

static bool is_whole(const struct kept *k)
{
	return k->memory >= 0 && k->connection >= 0 && k->n_doors == ESTATE_DOORS;
}

bool fd_store_inherit(struct estate *e)
{
	struct kept k = { .memory = -1, .connection = -1 };
	struct daxfs_error err = { .text = "some of it is missing" };
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	for (int i = 0; i < n; i++) {
		sort_in(&k, SD_LISTEN_FDS_START + i, names[i]);
		free(names[i]);
	}
	free(names);
	if (n <= 0)
		return false;
	if (is_whole(&k) && estate_inherit(e, k.memory, k.connection, &err) == 0) {
		estate_set_doors(e, k.door);
		return true;
	}
	log_warn("the mount that the service manager kept cannot be gone on with: %s", err.text);
	close_all(&k);
	fd_store_forget();
	return false;
}

/* -- asking ------------------------------------------------------------------------------- */

static int connect_to(const char *address, sd_bus **out)
{
	sd_bus *bus;
	int rc = sd_bus_new(&bus);

	if (rc < 0)
		return rc;
	rc = sd_bus_set_address(bus, address);
	if (rc >= 0)
		rc = sd_bus_start(bus);
	if (rc < 0) {
		sd_bus_unref(bus);
		return rc;
	}
	*out = bus;
	return 0;
}

/* The path of this service's job; empty: it has none. */
static int find_job(sd_bus *bus, char *path, size_t size)
{
	sd_bus_message *unit = NULL, *job = NULL;
	const char *at, *job_at = "";
	uint32_t id = 0;
	int rc = sd_bus_call_method(bus, MANAGER, MANAGER_PATH, MANAGER ".Manager", "GetUnitByPID", NULL, &unit, "u",
				    (uint32_t)getpid());

	if (rc >= 0)
		rc = sd_bus_message_read(unit, "o", &at);
	if (rc >= 0)
		rc = sd_bus_get_property(bus, MANAGER, at, MANAGER ".Unit", "Job", NULL, &job, "(uo)");
	if (rc >= 0)
		rc = sd_bus_message_read(job, "(uo)", &id, &job_at);
	snprintf(path, size, "%s", rc >= 0 && id ? job_at : "");
	sd_bus_message_unref(unit);
	sd_bus_message_unref(job);
	return rc;
}

/* -errno: it does not say. */
static int is_restart(sd_bus *bus)
{
	char path[256], *type = NULL;
	int rc;

	sd_bus_set_method_call_timeout(bus, PATIENCE_US);
	rc = find_job(bus, path, sizeof(path));
	if (rc < 0 || !path[0])
		return rc < 0 ? rc : 0;
	rc = sd_bus_get_property_string(bus, MANAGER, path, MANAGER ".Job", "JobType", NULL, &type);
	if (rc >= 0)
		rc = !strcmp(type, "restart") || !strcmp(type, "try-restart");
	free(type);
	return rc;
}

bool fd_store_restarting(void)
{
	sd_bus *bus = NULL;
	int rc = sd_bus_open_system(&bus);

	if (rc >= 0)
		rc = is_restart(bus);
	sd_bus_close_unref(bus);
	bus = NULL;
	if (rc < 0)
		rc = connect_to(PRIVATE_BUS, &bus);
	if (bus)
		rc = is_restart(bus);
	sd_bus_close_unref(bus);
	return rc > 0;
}
