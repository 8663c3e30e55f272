/* SPDX-License-Identifier: Apache-2.0 */
/* proof.c - see proof.h. Reads only, and nothing is refused: a test that was not made says nothing. */
#include "node-agent/proof.h"

#include <sys/stat.h>

#define SLOTS_OF_ONE_HOST 2u /* and the spare one */

const char *proof_warning(bool device, unsigned hosts, const struct daxfs_coherence *proof)
{
	if (proof && !proof->coherent)
		return "its memory was found not coherent between hosts: files will be damaged; stop all agents but "
		       "one and see daxfsctl status";
	if (!device || hosts <= SLOTS_OF_ONE_HOST)
		return NULL;
	if (!proof)
		return "nobody has tested that its memory is coherent between hosts: run daxfsctl selftest POOL "
		       "--hosts N --host I on all of them at once";
	return proof->machines < 2
		       ? "that its memory is coherent was tested on one machine only: run daxfsctl selftest "
			 "POOL --hosts N --host I on all of them at once"
		       : NULL;
}

bool proof_is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}
