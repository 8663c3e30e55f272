/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - daxfsctl: make, show, check and repair pools; see ctl.c for usage. */
#include <signal.h>

#include "daxfsctl/ctl.h"

int main(int argc, char **argv)
{
	int code;

	signal(SIGPIPE, SIG_IGN); /* `daxfsctl dump | head` ends by an error of write, and says so */
	code = ctl_main(argc, argv, stdout, stderr);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("daxfsctl: output could not be written\n", stderr);
		return code == CTL_OK ? CTL_ERROR : code;
	}
	return code;
}
