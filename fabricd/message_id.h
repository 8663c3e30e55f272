/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_id.h - what to ask the journal for: journalctl MESSAGE_ID=...
 *
 * One for each kind of event, for good; fabricd(8) lists them. Each has the fields DAXFS_POOL, DAXFS_HOST,
 * DAXFS_NAME, DAXFS_GENERATION, DAXFS_STATE and DAXFS_EPOCH, where they mean something.
 */
#ifndef FABRICD_MESSAGE_ID_H
#define FABRICD_MESSAGE_ID_H

#define MESSAGE_SUSPECT "76bcc07262aa481cbd7578ee22f3f498"
#define MESSAGE_DECLARED_DEAD "890fd71311c645bcac31c925db837b71"
#define MESSAGE_FENCED "492e0863f557439e8917727aab553980"
#define MESSAGE_RECOVERED "c0967aae9fbd48fc9670d981f5c1fbc5"
#define MESSAGE_DEGRADED "ef5a65fdc49a4e57b3427f5d0e7d90a3"
#define MESSAGE_HEALTHY "9464fa0d7f684c93b00cae23d39cb947"
#define MESSAGE_PRIMARY "30af1a7494354e9c82c558df1e16976f"
#define MESSAGE_STATE "8bef724943494865ab636ebc570e6bc6" /* any other state of a host */

#endif
