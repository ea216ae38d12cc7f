/** Every bound and threshold of the program, with its reason. Relations between them are asserted below. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  /** Directories that the source may have offered and the target not yet settled: enough to keep workers busy. */
  unsettledDirectories: 96,
  /** Entries in those directories; one directory may exceed it, so that any directory can be handled. */
  unsettledEntries: 160_000,
  /** Files of one copy request: long enough to hide the request's cost, short enough to share a directory. */
  sliceFiles: 128,
  /** Payload of one copy request. */
  sliceBytes: 16 * MIB,
  /**
   * Copy requests in flight per worker: enough that several directories are among them, since two workers that make
   * names in one directory wait for its lock.
   */
  slicesPerWorker: 20,
  /** The planner's border between small and medium files. */
  shardFileBytes: 1 * MIB,
  /** From this size a file is split into ranges that several workers copy. */
  splitFileBytes: 48 * MIB,
  /** From this size a file that comes from another process is fetched in ranges, over all streams. */
  stripeFileBytes: 16 * MIB,
  /** One such range: a few of them in flight on each stream, each answered in tens of milliseconds at gigabit speed. */
  stripeRangeBytes: 8 * MIB,
  /** Ranges of one file in flight: they cover the delay of a long line, and every stream has one. */
  stripeLanes: 12,
  /**
   * Answers that a target expects from another process at a time: small directories have few files each, and a long line
   * has to be filled all the same. What they occupy is a request in the library, no memory for content.
   */
  expectedAnswers: 256,
  /** Such slots that a large file takes, so that a handful of them are open at a time. */
  slotsOfLarge: 64,
  /** Ranges that may be asked for instead, and files that may be called small. */
  chunkFewestBytes: 1 * MIB,
  chunkMostBytes: 64 * MIB,
  smallFileMostBytes: 16 * MIB,
  /** The least content that a run needs on its way: a chunk of the shortest on each of a few streams. */
  bufferFewestBytes: 1 * MIB,
  /** Socket buffers that may be asked for: what the kernel grants is another matter. */
  socketBufferFewestBytes: 64 * KIB,
  socketBufferMostBytes: 1024 * MIB,
  /** Unit in which the target tells what it already has of a range. */
  basisBlockBytes: 128 * KIB,
  /** A range of a split file: a few hundred of them in a big file, and milliseconds each. */
  rangeBytes: 32 * MIB,
  minRangeBytes: 8 * MIB,
  /** Beyond so many ranges of a file they become longer instead: one of terabytes is mostly holes. */
  rangesMost: 16_384,
  /** Shards of small files: first target, and its promotions as small files add up. */
  shardBytes: 8 * MIB,
  shardFiles: 2048,
  shardPromotions: [
    { whenTotalBytes: 256 * MIB, shardBytes: 32 * MIB },
    { whenTotalBytes: 768 * MIB, shardBytes: 64 * MIB },
  ],
  /** Bundles of medium files. */
  bundleBytes: 128 * MIB,
  bundlePromotions: [{ whenTotalBytes: 512 * MIB, bundleBytes: 384 * MIB }],
  /** A job this small goes without planning. */
  tinyFiles: 8,
  tinyBytes: 100 * MIB,
  /** Rows of one manifest message: 1 to 2 MiB at the usual length of names. */
  manifestRows: 16_384,
  /** Rows of one need. */
  needRows: 16_384,
  /** Needs that a target may have open: ranges of `workersMost` * `slicesPerWorker` large files, and as many again. */
  unansweredNeeds: 65_536,
  /** A range that a peer may ask for, and the blocks in which it tells what it has of it. */
  rangeMostBytes: 64 * MIB,
  blockFewestBytes: 64 * KIB,
  blockMostBytes: 1 * MIB,
  /** Entries of one directory; as `FSY_MAX_ROWS`. */
  directoryRows: 1 << 24,
  /** Extraneous subtrees are walked by this many requests at a time. */
  extraneousWalks: 16,
  /** Requests for hard links in flight: enough for all workers. */
  linksInFlight: 256,
  /** A move makes this many directories durable at a time before it unlinks their sources. */
  moveFlushDirectories: 256,
  moveFlushEntries: 200_000,
  /** Failures kept in full for the summary; all are counted and reported as they happen. */
  failuresKept: 1000,
  /** Entries named for each attribute and errno that could not be applied; all are counted. */
  warningExamples: 10,
  /** The built-in guard of deletion: more than this many and more than this share of the target. */
  guardDeletions: 100,
  guardShare: 0.5,
  /** How long a frame may come before its need is known: what asks and what answers take different ways. */
  unknownNeedMs: 5000,
  /** The size of a per-directory filter file that is read. */
  filterFileBytes: 1 * MIB,
  /** Rules that a caller may send, and bytes of each. */
  filterRules: 65_536,
  filterRuleBytes: 64 * KIB,
  /** Paths of --files-from that a caller may send: as many as fit into one message. */
  listedPaths: 4_000_000,
  /** PATH_MAX: of a path that a peer names. */
  pathBytes: 4096,
  /** Messages in one write of the control plane, and bytes of it: a manifest of the longest names is the largest. */
  messagesPerWrite: 4096,
  messageBytes: 32 * MIB,
  /**
   * Messages within one message, map entries and unknown fields, all levels together: each becomes an object. The rules
   * of a filter and the names of all owners fit.
   */
  messageParts: 262_144,
  /** Other values in one message: the paths of --files-from are the most. */
  messageElements: 1 << 22,
  /** A side that has nothing to say says so, this often. */
  heartbeatMs: 5_000,
  /** Nothing heard for so long ends a session. */
  idleMs: 60_000,
  /** What a peer may say instead, and is believed. */
  idleLeastMs: 100,
  idleMostMs: 86_400_000,
  /** Messages in `heartbeatMs` that say nothing: many times what a side sends whose `idleMs` is the least. */
  smallTalkMost: 1_000,
  /**
   * A daemon's session in which neither side says more than heartbeats and no content moves. Long, since there is honest
   * silence: a question over night, the digest of a file of terabytes, a directory of millions, deletions, a sync.
   */
  stalledMs: 86_400_000,
  /** Until a daemon answers a connection; until a stream of the data plane is open before it is given up. */
  connectTimeoutMs: 10_000,
  dataConnectMs: 2_000,
  /** A session that was asked to stop gets so long for it. */
  stopMs: 10_000,
  /** Counters are told as often as a person can see it. */
  progressMs: 100,
  /** What was said last gets so long to leave. */
  lingerMs: 2_000,
  /** What a caller was told and has not read: a line that is slow for seconds is waited for, a caller that stopped is not. */
  unreadBytes: 64 * MIB,
  /** Worker threads that a caller may ask a daemon for, where it has no more cores. */
  servedWorkers: 8,
  /** Streams of one session: at first, on a line that is far, and at most. Each of them starts slowly, all at once. */
  streamsAtFirst: 4,
  streamsAtFirstFar: 8,
  streamsMost: 16,
  /** Tokens that a daemon may grant at once, as its `max_streams` may say. */
  streamsGrantable: 64,
  /** From this round trip on it is tried whether more streams help. */
  tuneFromMs: 3,
  /** From this round trip on a line is far. */
  farFromMs: 10,
  /** Content inside the control plane: of one message, and on its way at a time unless the run wants less. */
  payloadBytes: 256 * KIB,
  payloadWindowBytes: 8 * MIB,
  /** What a peer may put into one message of it, and into how many messages before they are taken. */
  payloadMostBytes: 1 * MIB,
  payloadPieces: 65_536,
  /** What a source may have offered that is not released: a directory of `directoryRows` with usual names fits. */
  openBytes: 3 * 1024 * MIB,
  openEntries: 1 << 24,
  /** Filter files of one directory. */
  mergeFiles: 1024,
  /** Owners, and groups, whose names are told in one session: of more only the numbers are. */
  ownerNames: 65_536,
  /** Rules of --usermap, and of --groupmap. */
  ownerRules: 1024,
  /** Directories from a place up to the root of its file system, as a side tells them. */
  chainDirectories: 256,
  /** Source arguments of one session. */
  sourceArguments: 4096,
  /** As `unsettledDirectories`, between two processes: what is on its way over a long line counts too. */
  offeredDirectories: 1024,
  /** Worker threads of one run, as `FSY_MAX_WORKERS`. */
  workersMost: 64,
  /** Runs that the history keeps, and how long one that ended waits for another one to have written its own. */
  historyRuns: 10_000,
  historyWaitMs: 200,
  /** Rows, and bytes of names, of one part of an answer about places: a few of them are under way at a time. */
  partRows: 1024,
  partBytes: 256 * KIB,
  /** Such calls that a daemon answers at a time; each has a walk of its own. */
  adminCalls: 32,
  /** Bytes of one request of them: a thousand paths to remove are the most. */
  adminRequestBytes: 5 * MIB,
  adminRequestParts: 4096,
  /** Patterns of a find, of each sort. */
  findPatterns: 64,
  /** Paths of one request to remove. */
  removePaths: 1024,
  /** Entries that one request removes. */
  removeSliceRows: 512,
  /** Names of one completion. */
  completions: 1000,
  /** Directories within directories that are walked, and bytes of a path there: each is an open descriptor and a path. */
  walkDepth: 4096,
  walkPathBytes: 32 * KIB,
  /** Inodes with several names that a count of what is occupied remembers: some 100 MiB. */
  linkedInodes: 2_000_000,
  /** A config file of the daemon: thousands of modules fit; what is larger is some other file. */
  configFileBytes: 1 * MIB,
  /** A module's name: as long as a file's name may be. */
  moduleNameBytes: 255,
  /** Jobs are looked at so often for those who watch, of whom there are at most so many; and so many at one address. */
  jobWatchMs: 500,
  jobWatchers: 64,
  jobWatchersOfPeer: 16,
  /** Of one list of jobs, which holds the latest of them: half of what who asks takes in a message. */
  jobListBytes: 16 * MIB,
  /** Series of modules and roles in the metrics; what more modules do is one series. Connections that ask for them. */
  metricSeries: 2048,
  metricConnections: 64,
  /** What is believed of daemons that announce themselves: whoever is in the network says so. */
  foundDaemons: 256,
  foundAddresses: 32,
} as const;

function assertRelation(holds: boolean, relation: string): void {
  if (!holds) throw new Error(`limits: ${relation} does not hold`);
}
assertRelation(LIMITS.shardFileBytes < LIMITS.splitFileBytes, "shardFileBytes < splitFileBytes");
assertRelation(LIMITS.shardFileBytes < LIMITS.stripeFileBytes, "shardFileBytes < stripeFileBytes");
assertRelation(LIMITS.stripeRangeBytes < LIMITS.stripeFileBytes, "stripeRangeBytes < stripeFileBytes");
assertRelation(LIMITS.stripeRangeBytes <= LIMITS.rangeMostBytes, "stripeRangeBytes <= rangeMostBytes");
assertRelation(LIMITS.blockFewestBytes <= LIMITS.basisBlockBytes, "blockFewestBytes <= basisBlockBytes");
assertRelation(LIMITS.unsettledDirectories <= LIMITS.offeredDirectories, "unsettledDirectories <= offeredDirectories");
assertRelation(LIMITS.payloadBytes < LIMITS.payloadWindowBytes, "payloadBytes < payloadWindowBytes");
assertRelation(
  LIMITS.payloadWindowBytes / 8 <= LIMITS.bufferFewestBytes,
  "payloadWindowBytes / 8 <= bufferFewestBytes, so that a peer that knows no other window gives credit within any",
);
assertRelation(LIMITS.payloadBytes <= LIMITS.bufferFewestBytes, "payloadBytes <= bufferFewestBytes");
assertRelation(LIMITS.payloadBytes <= LIMITS.payloadMostBytes, "payloadBytes <= payloadMostBytes");
assertRelation(LIMITS.payloadMostBytes <= LIMITS.messageBytes, "payloadMostBytes <= messageBytes");
assertRelation(
  LIMITS.filterRules + 2 * LIMITS.ownerNames + 4 * LIMITS.messagesPerWrite <= LIMITS.messageParts,
  "filterRules + 2 * ownerNames + 4 * messagesPerWrite <= messageParts",
);
assertRelation(
  LIMITS.listedPaths + LIMITS.filterRules * 2 <= LIMITS.messageElements,
  "listedPaths + filterRules * 2 <= messageElements",
);
assertRelation(LIMITS.streamsAtFirst <= LIMITS.streamsAtFirstFar, "streamsAtFirst <= streamsAtFirstFar");
assertRelation(LIMITS.streamsAtFirstFar <= LIMITS.streamsMost, "streamsAtFirstFar <= streamsMost");
assertRelation(LIMITS.heartbeatMs < LIMITS.idleMs, "heartbeatMs < idleMs");
assertRelation(LIMITS.idleMs <= LIMITS.stalledMs, "idleMs <= stalledMs");
assertRelation(
  (LIMITS.heartbeatMs * 4) / LIMITS.idleLeastMs < LIMITS.smallTalkMost,
  "heartbeatMs * 4 / idleLeastMs < smallTalkMost",
);
assertRelation(LIMITS.idleLeastMs <= LIMITS.idleMs, "idleLeastMs <= idleMs");
assertRelation(LIMITS.idleMs <= LIMITS.idleMostMs, "idleMs <= idleMostMs");
assertRelation(LIMITS.streamsMost <= LIMITS.streamsGrantable, "streamsMost <= streamsGrantable");
assertRelation(
  LIMITS.workersMost * LIMITS.slicesPerWorker * LIMITS.stripeLanes * 2 <= LIMITS.unansweredNeeds,
  "workersMost * slicesPerWorker * stripeLanes * 2 <= unansweredNeeds",
);
assertRelation(LIMITS.shardFiles <= LIMITS.needRows, "shardFiles <= needRows");
assertRelation(LIMITS.servedWorkers <= LIMITS.workersMost, "servedWorkers <= workersMost");
assertRelation(LIMITS.directoryRows <= LIMITS.openEntries, "directoryRows <= openEntries");
assertRelation(LIMITS.unsettledEntries <= LIMITS.openEntries, "unsettledEntries <= openEntries");
assertRelation(LIMITS.messageBytes < LIMITS.openBytes, "messageBytes < openBytes");
assertRelation(LIMITS.openBytes < 2 ** 32, "openBytes < 2^32, the length of a batch");
assertRelation(LIMITS.slotsOfLarge <= LIMITS.expectedAnswers, "slotsOfLarge <= expectedAnswers");
assertRelation(LIMITS.stripeLanes <= LIMITS.slotsOfLarge, "stripeLanes <= slotsOfLarge");
assertRelation(LIMITS.basisBlockBytes <= LIMITS.blockMostBytes, "basisBlockBytes <= blockMostBytes");
assertRelation(LIMITS.sliceFiles <= LIMITS.needRows, "sliceFiles <= needRows");
assertRelation(LIMITS.chunkMostBytes <= LIMITS.rangeMostBytes, "chunkMostBytes <= rangeMostBytes");
assertRelation(LIMITS.basisBlockBytes <= LIMITS.chunkFewestBytes, "basisBlockBytes <= chunkFewestBytes");
assertRelation(LIMITS.smallFileMostBytes <= LIMITS.stripeFileBytes, "smallFileMostBytes <= stripeFileBytes");
assertRelation(LIMITS.chunkFewestBytes <= LIMITS.bufferFewestBytes, "chunkFewestBytes <= bufferFewestBytes");
assertRelation(LIMITS.basisBlockBytes < LIMITS.stripeRangeBytes, "basisBlockBytes < stripeRangeBytes");
assertRelation(LIMITS.minRangeBytes <= LIMITS.rangeBytes, "minRangeBytes <= rangeBytes");
assertRelation(LIMITS.rangeBytes < LIMITS.splitFileBytes, "rangeBytes < splitFileBytes");
assertRelation(LIMITS.sliceFiles <= LIMITS.shardFiles, "sliceFiles <= shardFiles");
