/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenarios.c - what is explored: see sim.h for the variants, script.h for the
 * language. Script a is the operation under test, by host 0; b is what gets in
 * its way, by host 1, the sharpest conflict first.
 *
 * Names "=NBASE,REST" hash like "=NBASE" in the first N levels of a directory
 * trie and by their whole in the rest, names "=:NNBASE,REST" like "BASE" in the first
 * NN bits (hash_collision.c), so that they meet in slots and buckets.
 */
#include "sim.h"

#define FILE_F "mkdir d;create d/f;write d/f 0 5000 1;"
#define TREE FILE_F "mkdir e;create e/g;write e/g 0 700 2;"

/* A file that both hosts may lock. */
#define LOCKED FILE_F "hold d/f;1:hold d/f;note d/f 0;"

/* Both hosts have taken more than 64 pages, and retired them. */
#define REUSE                                                                                                          \
	"mkdir d;create d/f;write d/f 0 262144 1;write d/f 0 262144 2;trunc d/f 4096;"                                 \
	"mkdir e;create e/g;1:write e/g 0 262144 1;1:write e/g 0 262144 2;1:trunc e/g 4096"

/* Pages 16 to 31 of d/f: as an extent, each by itself; and of two files, by two hosts, again and again. */
#define EXTENT FILE_F "draft d/f 65536 65536 1;"
#define PAGES FILE_F "write d/f 65536 61440 1;write d/f 126976 4096 2;"
#define EXTENTS EXTENT "mkdir e;create e/g;" FOUR_TIMES("write d/f 65536 65536 2;1:write e/g 65536 65536 2;")
#define FOUR_TIMES(s) s s s s

/* Five of the sixteen files that a host can hold here. */
#define HOLD_5(p)                                                                                                      \
	"create o/" p "1;hold o/" p "1;create o/" p "2;hold o/" p "2;create o/" p "3;hold o/" p "3;"                   \
	"create o/" p "4;hold o/" p "4;create o/" p "5;hold o/" p "5;"

/* A bucket of a leaf that is full of names with NN bits in common: a ninth one splits it. */
#define BUCKET(nn)                                                                                                     \
	"mkdir d;create d/=:" nn "k,a;create d/=:" nn "k,b;create d/=:" nn "k,c;create d/=:" nn "k,d;"                 \
	"create d/=:" nn "k,e;create d/=:" nn "k,f;create d/=:" nn "k,g;create d/=:" nn "k,h;"

/* As many inodes as a tight pool has: 0, the root, the directory and these. */
#define SIXTEEN                                                                                                        \
	"mkdir o;create o/a;create o/b;create o/c;create o/d;create o/e;create o/f;create o/g;"                        \
	"create o/h;create o/i;create o/j;create o/k;create o/l;create o/m;"

const struct scenario scenarios[] = {
	/* making names */
	{ "create", "mkdir d;create d/x", "create d/f", "create d/f;stat d/f;unlink d/f", 0 },
	{ "create-refused", "mkdir d;create d/x", "create d/x", "unlink d/x;create d/x", 0 },
	{ "create-two", "mkdir d", "create d/f;create d/g", "create d/g;rename d/g d/f", 0 },
	{ "mkdir", "mkdir d;create d/x", "mkdir d/s", "mkdir d/s;rmdir d/s", 0 },
	{ "symlink", "mkdir d", "symlink d/l over/there", "symlink d/l elsewhere;stat d/l", 0 },
	{ "link", FILE_F, "link d/f d/h", "unlink d/f;stat d/h", 0 },
	{ "link-refused", TREE, "link d/f e/g", "unlink e/g", 0 },
	/* removing names */
	{ "unlink-last", FILE_F, "unlink d/f", "link d/f d/h;stat d/f;create d/f", 0 },
	{ "unlink-both", FILE_F, "unlink d/f", "unlink d/f;read d/f", 0 },
	{ "unlink-two", TREE "create d/x", "unlink d/f;unlink d/x", "unlink d/x;create d/f;stat d/x", 0 },
	{ "unlink-one", FILE_F "link d/f d/h", "unlink d/f", "unlink d/h;getattr d/f", 0 },
	{ "unlink-held-here", FILE_F "hold d/f;note d/f 0", "unlink d/f", "read d/f;create d/f", SC_HOLDS },
	{ "unlink-held-there", FILE_F "1:hold d/f;note d/f 0", "unlink d/f", "read d/f;release d/f", 0 },
	{ "unlink-large", "mkdir d;create d/f;write d/f 0 262144 1;write d/f 262144 65536 2", "unlink d/f",
	  "trunc d/f 5000;stat d/f", 0 },
	{ "rmdir", "mkdir d;mkdir d/s", "rmdir d/s", "create d/s/x;stat d/s;mkdir d/s", 0 },
	{ "rmdir-refused", "mkdir d;mkdir d/s;create d/s/x", "rmdir d/s", "unlink d/s/x;rmdir d/s", 0 },
	{ "rmdir-hollow", "mkdir d;mkdir d/s;create d/s/=2k,x;create d/s/=2k,y;unlink d/s/=2k,x;unlink d/s/=2k,y",
	  "rmdir d/s", "create d/s/=2k,z;stat d/s", 0 },
	/* moving names */
	{ "rename", FILE_F, "rename d/f d/h", "unlink d/f;stat d/h", 0 },
	{ "rename-back", TREE, "rename d/f d/h", "rename d/h d/f;rename d/f d/h", 0 },
	{ "rename-swap", TREE, "rename d/f e/g", "rename e/g d/f", 0 },
	{ "rename-replace", TREE, "rename d/f e/g", "unlink e/g;stat d/f", 0 },
	{ "rename-replace-held", TREE "1:hold e/g;note e/g 1", "rename d/f e/g", "read e/g;release e/g", 0 },
	{ "rename-replace-link", TREE "link e/g d/k", "rename d/f e/g", "rename d/k d/f;getattr e/g", 0 },
	{ "rename-same-inode", FILE_F "link d/f d/h", "rename d/f d/h", "unlink d/h;stat d/f", 0 },
	{ "rename-dir", TREE "mkdir d/s;create d/s/x", "rename d/s d/t", "create d/s/y;rename d/s e/s", 0 },
	{ "rename-replace-dir", TREE "mkdir d/s;mkdir e/t;create d/s/x", "rename d/s e/t", "create e/t/y;stat d/s", 0 },
	{ "rename-replace-full", TREE "mkdir d/s;mkdir e/t;create e/t/y", "rename d/s e/t", "unlink e/t/y;rmdir e/t",
	  0 },
	{ "rename-across", TREE, "rename d/f e/h", "rename d/f e/k;stat e/h", 0 },
	{ "rename-dir-across", TREE "mkdir d/s;create d/s/x", "rename d/s e/s", "rename d/s d/t;rmdir e/s", 0 },
	{ "rename-cycle", "mkdir d;mkdir e;mkdir d/s;mkdir e/t", "rename d/s e/t/s", "rename e/t d/s/t", 0 },
	{ "rename-cycle-top", "mkdir d;mkdir e;mkdir d/s;mkdir e/t", "rename d e/t/d", "rename e d/s/e", 0 },
	{ "rename-into-itself", "mkdir d;mkdir d/s", "rename d d/s/d", "rename d/s t", 0 },
	{ "noreplace", TREE, "noreplace d/f d/h", "create d/h;stat d/f", 0 },
	{ "noreplace-refused", TREE, "noreplace d/f e/g", "unlink e/g;stat d/f", 0 },
	{ "exchange", TREE, "exchange d/f e/g", "rename d/f d/h;stat e/g", 0 },
	{ "exchange-both", TREE, "exchange d/f e/g", "exchange e/g d/f", 0 },
	{ "exchange-dir", TREE "mkdir d/s;create d/s/x", "exchange d/s e/g", "create d/s/y;unlink e/g", 0 },
	{ "exchange-dirs", TREE "mkdir d/s;mkdir e/t;create d/s/x", "exchange d/s e/t",
	  "rename e/t d/s/t;rename d/s e/t/s", 0 },
	{ "exchange-missing", TREE, "exchange d/f d/h", "create d/h", 0 },
	/* a directory that leaves its name before it gets an entry was never full under it (c/x: of what c was) */
	{ "rmdir-moved", "mkdir c", "rmdir c", "rename c k;create c/x", 0 },
	{ "replace-moved", "mkdir c;mkdir d", "rename d c", "rename c k;create c/x", 0 },
	/* attributes and sizes */
	{ "chattr", FILE_F, "chattr d/f 0600 1 2 100", "chattr d/f 0640 3 4 6000;getattr d/f", 0 },
	{ "utimes", FILE_F, "utimes d/f", "unlink d/f", 0 },
	{ "trunc-page", FILE_F, "trunc d/f 4500", "append d/f 200 3;read d/f", 0 },
	{ "trunc-zero", FILE_F, "trunc d/f 0", "write d/f 3000 3000 3;read d/f", 0 },
	{ "trunc-nodes", "mkdir d;create d/f;write d/f 0 262144 1;write d/f 262144 65536 2", "trunc d/f 7000",
	  "append d/f 300 3;trunc d/f 90000", 0 },
	/* More pages are cut than a record holds: whoever takes the rest sleeps, and they are written anew. */
	{ "trunc-written-since", "mkdir d;create d/f;write d/f 0 262144 1;write d/f 262144 65536 2", "trunc d/f 4096",
	  "write d/f 4096 262144 3;write d/f 266240 12288 4", SC_DEEP },
	{ "trunc-up", FILE_F, "trunc d/f 20000", "trunc d/f 300;append d/f 100 5", 0 },
	{ "trunc-down-up", FILE_F, "trunc d/f 10;trunc d/f 9000", "trunc d/f 5;read d/f", 0 },
	/* data */
	{ "write-page", "mkdir d;create d/f;write d/f 0 12288 1", "write d/f 4096 4096 3",
	  "write d/f 4096 100 4;read d/f", 0 },
	{ "write-page-node", "mkdir d;create d/f;write d/f 32768 4096 1", "write d/f 32768 4096 3",
	  "write d/f 32768 100 4;trunc d/f 0;mkdir d/s", 0 },
	{ "write-span", "mkdir d;create d/f;write d/f 0 12288 1", "write d/f 3000 6000 3",
	  "write d/f 5000 1000 4;trunc d/f 4000", 0 },
	{ "write-hole", "mkdir d;create d/f;trunc d/f 60000", "write d/f 40000 200 3", "write d/f 41000 200 4;read d/f",
	  0 },
	{ "write-gap", FILE_F, "write d/f 20000 100 3", "trunc d/f 100;append d/f 50 4", 0 },
	{ "write-deep", FILE_F, "write d/f 2129920 50 3", "write d/f 2129900 50 4;trunc d/f 10", 0 },
	{ "write-deepest", FILE_F, "write d/f 550830669824 50 3", "trunc d/f 10", 0 },
	{ "write-256k", "mkdir d;create d/f", "write d/f 0 262144 3", "append d/f 100 4;stat d/f", 0 },
	{ "write-256k-over", "mkdir d;create d/f;write d/f 0 262144 1", "write d/f 0 262144 3",
	  "write d/f 100000 9000 4", 0 },
	{ "write-orphan", FILE_F "hold d/f;note d/f 0;unlink d/f", "write $0 100 5000 3", "read $0", SC_HOLDS },
	{ "append", FILE_F, "append d/f 300 3", "append d/f 500 4;read d/f", 0 },
	{ "append-page", "mkdir d;create d/f;write d/f 0 8192 1", "append d/f 4096 3",
	  "append d/f 100 4;trunc d/f 8192", 0 },
	{ "append-twice", FILE_F, "append d/f 30 3;append d/f 40 4", "append d/f 50 5;append d/f 60 6", 0 },
	/* extended attributes */
	{ "xattr-first", FILE_F, "setx d/f 100 3 0", "setx d/f 50 4 1;getx d/f 0;unlink d/f", 0 },
	{ "xattr-set", FILE_F "setx d/f 100 1 0;setx d/f 200 2 1", "setx d/f 300 3 0",
	  "setx d/f 50 4 0;getx d/f 1;dropx d/f 1", 0 },
	{ "xattr-drop", FILE_F "setx d/f 100 1 0", "dropx d/f 0", "setx d/f 50 4 1;getx d/f 0", 0 },
	{ "xattr-refused", FILE_F "setx d/f 100 1 0", "dropx d/f 1", "setx d/f 50 4 1", 0 },
	{ "xattr-get", FILE_F "setx d/f 1000 1 0", "getx d/f 0", "setx d/f 1500 4 0;dropx d/f 0", 0 },
	{ "xattr-unlink", FILE_F "setx d/f 100 1 0", "unlink d/f", "setx d/f 50 4 0;create d/f", 0 },
	{ "xattr-orphan", FILE_F "hold d/f;note d/f 0;unlink d/f", "setx $0 100 3 0;release $0", "getx $0 0",
	  SC_HOLDS },
	{ "xattr-rmdir", "mkdir d;mkdir d/s;setx d/s 100 1 0", "rmdir d/s", "setx d/s 50 4 0;mkdir d/s", 0 },
	/* holes */
	{ "allocate", FILE_F "trunc d/f 30000;write d/f 16384 10 2", "allocate d/f 4096 20000",
	  "write d/f 8192 4096 3;trunc d/f 6000;read d/f", 0 },
	{ "allocate-longer", FILE_F, "allocate d/f 4000 20000", "append d/f 300 3;read d/f", 0 },
	{ "allocate-there", FILE_F, "allocate d/f 0 5000", "trunc d/f 0", 0 },
	{ "zero", FILE_F, "zero d/f 3000 6000", "write d/f 4000 200 3;append d/f 10 4", 0 },
	{ "punch", "mkdir d;create d/f;write d/f 0 16384 1", "punch d/f 4000 9000",
	  "write d/f 8192 100 3;write d/f 9000 10 4;read d/f", 0 },
	{ "seek", FILE_F "trunc d/f 90000;write d/f 40960 4096 2", "seek d/f 5000",
	  "punch d/f 40960 4096;write d/f 70000 10 3", 0 },
	{ "punch-end", FILE_F, "punch d/f 4096 4096", "append d/f 300 3;read d/f", 0 },
	{ "punch-both", "mkdir d;create d/f;write d/f 0 16384 1", "punch d/f 4096 8192",
	  "punch d/f 0 8192;allocate d/f 0 16384;read d/f", 0 },
	{ "punch-filled", "mkdir d;create d/f;write d/f 0 49152 1;punch d/f 36864 4096", "punch d/f 32768 12288",
	  "write d/f 36864 4096 3;trunc d/f 33000", 0 },
	/* sixteen pages as one */
	{ "extent-write", EXTENT, "write d/f 65536 65536 3", "write d/f 65536 65536 4;write d/f 70000 100 5;read d/f",
	  0 },
	{ "extent-form", PAGES, "write d/f 65536 65536 3", "write d/f 69632 4096 4;trunc d/f 80000;read d/f", 0 },
	{ "extent-form-hole", FILE_F "trunc d/f 200000", "draft d/f 65536 65536 3",
	  "write d/f 69632 10 4;write d/f 126976 10 5;read d/f", 0 },
	{ "extent-fill-end", FILE_F "trunc d/f 80000", "write d/f 69632 4096 4;write d/f 73728 10 5",
	  "draft d/f 65536 65536 3", 0 },
	{ "extent-form-new", FILE_F, "draft d/f 65536 65536 3", "write d/f 69632 10 4;trunc d/f 10", 0 },
	{ "extent-break", EXTENT, "write d/f 70000 100 3", "write d/f 65536 65536 4;write d/f 81920 4096 5", 0 },
	{ "extent-break-both", EXTENT, "write d/f 70000 100 3;write d/f 81920 10 4",
	  "write d/f 81920 4096 5;write d/f 70000 10 6;write d/f 65536 4096 7;read d/f", 0 },
	{ "extent-break-new", EXTENT, "write d/f 65536 65536 3",
	  "write d/f 70000 100 5;write d/f 65536 10 6;write d/f 73728 10 7", 0 },
	{ "extent-break-two", EXTENT "draft d/f 131072 131072 2;", "write d/f 130000 70000 3",
	  "write d/f 196608 65536 4;trunc d/f 140000;read d/f", 0 },
	{ "extent-there-and-back", EXTENT, "write d/f 126976 4096 3;write d/f 65536 65536 4",
	  "write d/f 65536 4096 5;write d/f 65536 65536 6;read d/f", 0 },
	{ "extent-punch", EXTENT, "punch d/f 70000 20000", "write d/f 81920 10 4;write d/f 65536 65536 5;read d/f", 0 },
	{ "extent-punch-all", EXTENT, "punch d/f 65536 65536", "write d/f 65536 65536 4;write d/f 81920 10 5", 0 },
	{ "extent-allocate", EXTENT "punch d/f 69632 4096;", "allocate d/f 60000 71072",
	  "write d/f 65536 65536 4;punch d/f 65536 65536", 0 },
	{ "extent-cut", EXTENT, "trunc d/f 70000", "write d/f 65536 65536 4;append d/f 10 5", 0 },
	{ "extent-cut-broken", EXTENT, "trunc d/f 70000", "write d/f 81920 10 4;write d/f 126976 10 5", 0 },
	{ "extent-cut-formed", PAGES, "trunc d/f 69632", "write d/f 65536 65536 4", 0 },
	{ "extent-cut-formed-late", PAGES "trunc d/f 126976;trunc d/f 131072", "trunc d/f 122880",
	  "write d/f 65536 65536 4;read d/f", 0 },
	{ "extent-cut-all", EXTENT, "trunc d/f 65536", "write d/f 65536 65536 4;write d/f 81920 10 5", 0 },
	{ "extent-unlink", EXTENT, "unlink d/f", "write d/f 65536 65536 4;write d/f 81920 10 5", 0 },
	{ "extent-read", EXTENT, "read d/f", "write d/f 81920 10 4;write d/f 65536 65536 5", 0 },
	{ "extent-view", EXTENT, "view d/f 70000;view d/f 70000", "write d/f 81920 10 4;write d/f 65536 65536 5", 0 },
	{ "extent-view-broken", EXTENT, "view d/f 70000", "write d/f 81920 10 4", 0 },
	{ "extent-draft", EXTENT, "draft d/f 65536 65536 3;draft d/f 69632 8192 4",
	  "write d/f 81920 10 5;write d/f 65536 65536 6", 0 },
	{ "extent-statfs", EXTENT, "statfs", "write d/f 81920 10 4", 0 },
	{ "extent-again", EXTENTS, "write d/f 65536 65536 3;write d/f 65536 65536 4",
	  "write e/g 65536 65536 5;write d/f 65536 65536 6", 0 },
	{ "extent-dissolve", "create f;draft f 65536 65536 1;draft f 65536 65536 2;create g;fill g 18;trunc f 0",
	  "write g 0 65536 3;write g 8192 65536 4", "draft f 65536 65536 5;write g 100 8192 6", SC_TIGHT },
	/* Nothing is free but what was an extent: some of it for single pages, or all of it for one. */
	{ "extent-claim", "create f;draft f 65536 131072 1;trunc f 131072;create g;fill g 16",
	  "undraft f;write g 0 4096 3;write g 4096 4096 4;write g 8192 4096 5",
	  "draft f 131072 65536 6;draft f 131072 65536 7", SC_TIGHT | SC_DEEP },
	/* data where it is */
	{ "draft", "mkdir d;create d/f;write d/f 0 12288 1", "draft d/f 4096 8192 3",
	  "write d/f 8000 500 4;trunc d/f 9000", 0 },
	{ "draft-longer", FILE_F, "draft d/f 8192 4096 3", "append d/f 4000 4;read d/f", 0 },
	{ "draft-pruned", FILE_F, "trunc d/f 100;draft d/f 4096 4096 3", "trunc d/f 10;append d/f 100 4", 0 },
	{ "draft-removed", FILE_F, "draft d/f 0 4096 3", "unlink d/f", 0 },
	{ "draft-aborted", FILE_F, "undraft d/f;draft d/f 0 4096 3", "draft d/f 0 4096 4;undraft d/f", 0 },
	{ "view", FILE_F, "view d/f 100;view d/f 4096;view d/f 9000", "write d/f 0 4096 3;trunc d/f 200", 0 },
	{ "view-again", FILE_F, "review d/f 100;review d/f 4096", "trunc d/f 200;unlink d/f;create d/f", 0 },
	{ "view-again-reused", SIXTEEN "write o/b 0 100 1", "review o/b 0", "unlink o/b;create o/z;append o/a 10 5",
	  SC_TIGHT },
	{ "view-hole", "mkdir d;create d/f;trunc d/f 9000", "view d/f 4096", "write d/f 4096 100 3;unlink d/f", 0 },
	/* open files */
	{ "hold", FILE_F "note d/f 0", "hold d/f", "unlink d/f;getattr $0", SC_HOLDS },
	{ "hold-new", "mkdir d", "hold-new d/f", "unlink d/f;create d/f", SC_HOLDS },
	{ "hold-unlink-release", FILE_F "note d/f 0", "hold d/f;unlink d/f;release $0", "unlink d/f;getattr $0",
	  SC_HOLDS },
	{ "release-orphan", FILE_F "hold d/f;note d/f 0;unlink d/f", "release $0", "getattr $0;hold $0", SC_HOLDS },
	{ "release-named", FILE_F "hold d/f;note d/f 0", "release d/f", "unlink d/f;getattr $0", SC_HOLDS },
	{ "release-orphan-both", FILE_F "hold d/f;1:hold d/f;note d/f 0;unlink d/f", "release $0",
	  "release $0;getattr $0", SC_HOLDS },
	/* locks */
	{ "lock", LOCKED, "lock d/f 0 99 2;locked d/f 0 9 1", "lock d/f 50 60 1;lock d/f 0 99 0", SC_HOLDS },
	{ "lock-beside", LOCKED "lock d/f 0 9 2;1:lock d/f 20 29 2", "lock d/f 10 14 2",
	  "lock d/f 15 19 2;locked d/f 0 99 1", SC_HOLDS },
	{ "lock-grow", LOCKED "lock d/f 0 9 1;1:lock d/f 0 9 1", "lock d/f 5 30 2;lock d/f 10 30 2",
	  "lock d/f 0 9 0;lock d/f 30 40 2", SC_HOLDS },
	{ "unlock-part", LOCKED "lock d/f 0 99 2", "lock d/f 40 49 0", "lock d/f 40 49 2;lock d/f 0 9 1", SC_HOLDS },
	{ "unlock-whole", LOCKED "lock d/f 0 9 2;lock d/f 20 29 2;1:lock d/f 40 49 1",
	  "lock d/f 0 14 0;lock d/f 0 99 0", "lock d/f 0 9 1;lock d/f 0 99 0", SC_HOLDS },
	{ "unlock-beside", LOCKED "lock d/f 0 9 2;lock d/f 20 29 2", "lock d/f 0 9 0",
	  "lock d/f 60 69 2;locked d/f 0 9 1", SC_HOLDS | SC_DEEP },
	{ "unlock-last", LOCKED "lock d/f 0 9 2", "lock d/f 0 9 0", "lock d/f 5 15 2;lock d/f 5 15 0", SC_HOLDS },
	{ "flock", LOCKED, "flock d/f 2;flock d/f 1", "flock d/f 1;lock d/f 0 9 2", SC_HOLDS },
	{ "lock-release", LOCKED "lock d/f 0 9 2;flock d/f 2;1:lock d/f 20 29 1", "release d/f",
	  "lock d/f 5 15 2;release d/f", SC_HOLDS },
	{ "lock-not-held", FILE_F "1:hold d/f", "lock d/f 0 9 2", "lock d/f 0 9 1", SC_HOLDS },
	{ "lock-hold", FILE_F "1:hold d/f;1:lock d/f 0 9 1", "hold d/f;lock d/f 0 9 1", "release d/f", SC_HOLDS },
	{ "lock-orphan", LOCKED "lock d/f 0 9 2;1:lock d/f 20 29 2;unlink d/f", "release $0",
	  "lock $0 0 9 2;release $0", SC_HOLDS },
	{ "lock-leave", LOCKED "lock d/f 0 9 2", "leave", "lock d/f 0 9 2", SC_MEMBER | SC_HOLDS },
	{ "unlock-full", LOCKED "lock d/f 0 9 2;lock d/f 20 29 2;1:lock d/f 40 49 1;create g;fill g 0",
	  "lock d/f 0 9 0;release d/f", "lock d/f 40 49 0;locked d/f 0 29 1", SC_HOLDS | SC_TIGHT },
	/* names that meet in a slot of the trie */
	{ "collide-push", "mkdir d;create d/=1k,x", "create d/=1k,y", "unlink d/=1k,x;create d/=1k,y", 0 },
	{ "collide-push-deep", "mkdir d;create d/=4k,x", "create d/=4k,y", "create d/=4k,z;ls d", 0 },
	{ "collide-whole", "mkdir d;create d/=6k,x", "create d/=6k,y", "create d/=6k,z;unlink d/=6k,x", 0 },
	{ "collide-whole-third", "mkdir d;create d/=6k,x;create d/=6k,y", "create d/=6k,z",
	  "create d/=6k,z;unlink d/=6k,y", 0 },
	{ "collide-unlink", "mkdir d;create d/=2k,x;create d/=2k,y", "unlink d/=2k,x;unlink d/=2k,y",
	  "create d/=2k,z;unlink d/=2k,x", 0 },
	{ "collide-whole-unlink", "mkdir d;create d/=6k,x;create d/=6k,y", "unlink d/=6k,x",
	  "unlink d/=6k,y;create d/=6k,z", 0 },
	{ "collide-rename", "mkdir d;create d/=2k,x;create d/=1k,w", "rename d/=1k,w d/=2k,y", "rename d/=2k,x d/=2k,y",
	  0 },
	/* A handle from before: of what was removed, and its inode is somebody else's now, or becomes so. */
	{ "stale-create", SIXTEEN "write o/b 0 100 1;note o/b 0;unlink o/b", "create o/z",
	  "append $0 10 5;getattr $0;trunc $0 100;chattr $0 0600 1 2 50;read $0", SC_TIGHT | SC_DEEP },
	{ "stale-links", SIXTEEN "note o/b 0;unlink o/b", "create o/z",
	  "link $0 o/y;hold $0;lock $0 0 9 2;write $0 0 10 5;draft $0 0 4096 6", SC_TIGHT | SC_DEEP | SC_HOLDS },
	{ "stale-mkdir", SIXTEEN "unlink o/b;mkdir o/b;note o/b 0;rmdir o/b", "mkdir o/z",
	  "rename o/a $0/a;stat $0/a;ls $0;rmdir $0/a;link o/c $0/c", SC_TIGHT | SC_DEEP },
	{ "stale-unlink", "mkdir o;create o/b;write o/b 0 5000 1;note o/b 0", "unlink o/b;create o/b",
	  "append $0 10 5;trunc $0 100;getattr $0", SC_DEEP },
	{ "stale-rmdir", "mkdir o;mkdir o/b;create o/a;note o/b 0", "rmdir o/b;mkdir o/b",
	  "rename o/a $0/a;create $0/x", SC_DEEP },
	{ "stale-twice", SIXTEEN "note o/b 0;unlink o/b;create o/b;unlink o/b", "create o/z;unlink o/z",
	  "append $0 10 5;getattr $0", SC_TIGHT | SC_DEEP },
	/* leaves: names with nine bits in common are in one bucket of a leaf for 64 slots of the root */
	{ "leaf-halve", BUCKET("09") "create d/=:03k,+z", "create d/=:09k,i", "create d/=:09k,j;unlink d/=:09k,a;ls d",
	  0 },
	{ "leaf-halve-one", BUCKET("09"), "create d/=:09k,i", "unlink d/=:09k,a;create d/=:03k,+z", 0 },
	{ "leaf-halve-rename", BUCKET("09") "create d/=:03k,+z", "rename d/=:03k,+z d/=:09k,i",
	  "rename d/=:09k,a d/=:09k,i;rename d/=:09k,b d/=:09k,a", 0 },
	{ "leaf-halve-replace", BUCKET("09") "mkdir e;create e/g", "rename e/g d/=:09k,c",
	  "create d/=:09k,i;unlink d/=:09k,c", 0 },
	{ "leaf-halve-exchange", BUCKET("09") "mkdir e;create e/g", "exchange e/g d/=:09k,c",
	  "create d/=:09k,i;rename d/=:09k,c e/h", 0 },
	{ "leaf-halve-unlink", BUCKET("09"), "unlink d/=:09k,c", "create d/=:09k,i;create d/=:09k,c", 0 },
	{ "leaf-halve-link", BUCKET("09") "mkdir e;create e/g", "link e/g d/=:09k,i", "unlink e/g;create d/=:09k,j",
	  0 },
	{ "leaf-deepen", BUCKET("15") "create d/=:14k,+z;create d/=:09k,+y", "create d/=:15k,i",
	  "create d/=:15k,j;rename d/=:14k,+z d/=:15k,a;ls d", 0 },
	{ "leaf-deepen-unlink", BUCKET("15") "create d/=:14k,+z", "unlink d/=:15k,c;unlink d/=:14k,+z",
	  "create d/=:15k,i;ls d", 0 },
	{ "leaf-look", BUCKET("09"), "stat d/=:09k,c;stat d/=:09k,i;ls d;stat d/=:09k,c",
	  "create d/=:09k,i;unlink d/=:09k,c", 0 },
	{ "leaf-list", "mkdir d;create d/=:09k,a;create d/=:04k,+y", "ls d", "create d/=:09k,b;unlink d/=:09k,b", 0 },
	{ "leaf-list-split", BUCKET("09") "create d/=:03k,+z", "ls d", "create d/=:09k,i;unlink d/=:03k,+z", 0 },
	{ "leaf-empty", "mkdir d;create d/=:09k,a;create d/=:09k,b;unlink d/=:09k,b", "unlink d/=:09k,a;rmdir d",
	  "create d/=:03k,+z;stat d/=:09k,a", 0 },
	{ "leaf-move", "mkdir d;create d/=:09k,a;create d/=:09k,b;unlink d/=:09k,b;mkdir e", "rename d/=:09k,a e/x",
	  "create d/=:09k,c;rmdir d", 0 },
	{ "leaf-twins", "mkdir d;create d/=6k,x;create d/=6k,y;unlink d/=6k,x", "create d/=6k,z;ls d",
	  "create d/=6k,x;unlink d/=6k,y", 0 },
	{ "leaf-no-page", BUCKET("09") "create g;fill g 0", "create d/=:09k,i;unlink d/=:09k,a;create d/=:09k,i",
	  "unlink d/=:09k,b;trunc g 0", SC_TIGHT },
	/* pages that are used again: hosts have taken enough to look for them */
	{ "reuse-write", REUSE, "write d/f 0 4096 3;write d/f 0 4096 4;write d/f 0 4096 5",
	  "write e/g 0 4096 6;write d/f 0 4096 7;write e/g 0 4096 8", 0 },
	{ "reuse-clash", REUSE, "write d/f 0 4096 3;trunc d/f 100", "write d/f 0 4096 7;create d/n", SC_DEEP },
	{ "reuse-read", REUSE, "read e/g;read e/g", "write e/g 0 4096 6;write e/g 0 4096 7;write e/g 0 4096 8", 0 },
	{ "reuse-rename", REUSE, "rename d/f d/h;rename d/h d/f", "write e/g 0 4096 6;rename d/f d/k;mkdir d/s", 0 },
	{ "reuse-create", REUSE, "unlink e/g;create e/g", "create d/n;unlink d/n;create d/o;mkdir e/g", 0 },
	{ "reuse-tight-read", "create g;write g 0 4096 1;create h;fill h 1", "read g;read g",
	  "write g 0 4096 6;write g 0 4096 7;write g 0 4096 8", SC_TIGHT },
	{ "reuse-tight-view", "create g;write g 0 4096 1;create h;fill h 1", "view g 0;view g 0",
	  "draft g 0 4096 6;write g 0 4096 7;draft g 0 4096 8", SC_TIGHT | SC_VAGUE },
	{ "reuse-tight-fill", "create f;write f 32768 10 1;trunc f 60000;create g;write g 0 8192 2;fill g 3",
	  "write f 40960 100 3", "trunc f 0;write g 0 8192 4;write g 4096 8192 5", SC_TIGHT },
	{ "reuse-tight-help", "create f;write f 32768 10 1;create g;write g 0 8192 2;fill g 1",
	  "trunc f 0;write g 0 8192 3", "append f 10 4;append f 10 5", SC_TIGHT },
	{ "write-pages", "mkdir d;create d/f;write d/f 0 12288 1", "write d/f 0 12288 3;write d/f 0 12288 4",
	  "write d/f 8192 4096 5;write d/f 0 4096 6;write d/f 4096 4096 7", 0 },
	/* no room */
	{ "reuse-node", "mkdir d;create g;mkdir d/s;fill g 0;rmdir d/s", "mkdir d/t;create d/t/x",
	  "trunc g 100;mkdir d/u", SC_TIGHT },
	{ "reuse-push", "mkdir d;create d/=2k,x;create g;mkdir d/s;mkdir d/t;fill g 0;rmdir d/s;rmdir d/t",
	  "create d/=2k,y;unlink d/=2k,y", "create d/=2k,z;trunc g 100", SC_TIGHT },
	{ "reuse-inode", SIXTEEN "unlink o/b;unlink o/c", "create o/=1b,x;create o/y", "unlink o/d;create o/z",
	  SC_TIGHT },
	{ "reuse-handle", SIXTEEN "note o/b 0;unlink o/b", "create o/x", "append $0 10 5;trunc $0 3;getattr $0",
	  SC_TIGHT },
	{ "no-inode", SIXTEEN "unlink o/b", "create o/x;create o/y", "unlink o/d;create o/z", SC_TIGHT },
	{ "no-page", FILE_F "create g;fill g 5", "write d/f 0 8192 3;append d/f 20000 5", "unlink d/f;write g 0 4096 7",
	  SC_TIGHT },
	{ "no-page-at-all", FILE_F "create g;fill g 0", "write d/f 0 100 3;mkdir d/s", "trunc d/f 0;symlink d/l x",
	  SC_TIGHT },
	/* Refused, so that the words over the states are closed; then opened, by who may die of it. */
	{ "full-opens", FILE_F "create g;fill g 0", "mkdir d/s;trunc d/f 0;mkdir d/s", "mkdir d/t", SC_TIGHT },
	{ "full-no-inode", SIXTEEN, "create o/x;unlink o/d;create o/x", "create o/y", SC_TIGHT },
	{ "no-page-reuse", FILE_F "create g;write g 0 262144 1;fill g 3", "write g 0 8192 3;write g 0 8192 4",
	  "write g 8192 4096 5;write g 0 4096 6", SC_TIGHT },
	{ "no-open", FILE_F "note d/f 0;mkdir o;create o/0;hold o/0;" HOLD_5("a") HOLD_5("b") HOLD_5("c"),
	  "hold d/f;hold-new d/h;release o/0;hold d/f", "unlink d/f", SC_HOLDS },
	/* looking */
	{ "lookup", TREE, "stat d/f;stat d/none;getattr e/g;stat d/..", "rename d/f d/h;rename d/h d/f", 0 },
	{ "readdir", TREE, "ls d;ls e", "create d/n", 0 },
	{ "read", TREE, "read d/f;read e/g", "write d/f 100 5000 3", 0 },
	{ "readlink", "symlink l some/where", "readlink l", "unlink l", 0 },
	{ "fsync", FILE_F, "fsync d/f", "append d/f 10 3", 0 },
	{ "statfs", FILE_F, "statfs", "append d/f 10 3", 0 },
	/* membership */
	{ "beat", FILE_F, "beat", "unlink d/f", SC_MEMBER },
	{ "manage", FILE_F "appear", "manage", "manage", SC_MEMBER | SC_VAGUE },
	{ "end-ended", FILE_F "reside", "end", "end", SC_MEMBER | SC_VAGUE },
	{ "succeed", FILE_F "reside", "succeed", "succeed", SC_MEMBER | SC_VAGUE },
	{ "preside", FILE_F "appear", "preside;preside", "preside;preside", SC_MEMBER },
	{ "join", "1:mkdir d;1:create d/f", "join", "unlink d/f;create d/f", SC_MEMBER | SC_OUTSIDE },
	{ "join-create", "1:mkdir d", "join;create d/f", "create d/f", SC_MEMBER | SC_OUTSIDE },
	{ "rejoin-watched", "", "leave;join", "watch;watch;watch", SC_MEMBER },
	{ "join-watched", "leave", "join", "watch;watch;watch", SC_MEMBER },
	{ "leave", FILE_F, "leave", "unlink d/f", SC_MEMBER },
	{ "leave-holding", FILE_F "hold d/f;note d/f 0;unlink d/f", "leave", "getattr $0", SC_MEMBER | SC_HOLDS },
	{ "leave-released", FILE_F "hold d/f", "release d/f;leave", "unlink d/f", SC_MEMBER | SC_HOLDS },
};

const unsigned n_scenarios = sizeof(scenarios) / sizeof(scenarios[0]);
