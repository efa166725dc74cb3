package tursoopt_test

// A proof says of some fields, parameters, methods or functions which tests fail when
// one of them has no effect: at least one of the tests for each of the fields.
type proof struct{ of, fields, tests string }

// proven has every option and every counter once; see TestEveryFieldIsProven.
var proven = []proof{
	{"Config", "URL AuthToken TLS RemoteEncryptionKey Proxy Header", "TestConfigReachesTheServer"},
	{"Config", "Base", "TestBaseLibsqlConfig"},
	{"Config", "Encoding", "TestTxLostUntold"},
	{"Config", "StmtCache", "TestStatementCacheCounters"},
	{"Config", "Coalesce", "TestRetriesStayWithinTheirBudget"},
	{"Config", "GroupCommit", "TestLaneStats"},
	{"Config", "Lanes", "TestLanesAreAsConfigured"},
	{"Config", "Retry", "TestOutageWithoutRetries"},
	{"Config", "Cache", "TestCacheStatsAreFed"},
	{"Config", "CacheLease CacheTTL StaleWhileRevalidate", "TestCacheRevalidates"},
	{"Config", "CacheTableTTL", "TestCacheTableTTL"},
	{"Config", "CacheTables", "TestBaseCacheOfDeclaredTables"},
	{"Config", "TxLock", "TestTxLockIsAsConfigured"},
	{"Config", "ConnectTimeout DialContext", "TestConnectTimeoutIsAsConfigured"},
	{"Config", "Timeout", "TestTimeoutIsAsConfigured TestTxEndTimeout"},
	{"Config", "KeepAlive KeepAliveIdleStop WarmConns", "TestPingsAreAsConfigured"},
	{"Config", "StaleAfter", "TestStaleAfterIsAsConfigured"},
	{"Config", "PingTimeout", "TestPingTimeoutIsAsConfigured"},
	{"Config", "ParseTime", "TestParseTimeOff"},
	{"Config", "Compress", "TestCompressOff"},
	{"Config", "CompressColumns CompressAlgorithm CompressMin", "TestCompressStats"},
	{"Config", "CompressGuard", "TestCompressGuard"},
	{"Config", "PoolMin PoolMax PoolInterval PoolUp PoolDown PoolCooldown", "TestPoolOptions"},
	{"Config", "FileOptions", "TestFileOptions"},
	{"Config", "TLSConfig", "TestServerTLS"},
	{"Config", "TokenSource", "TestConnectionStatsAreFed"},
	{"Config", "Shared", "TestTracerOfCacheAndShared"},
	{"Config", "Tracer", "TestTracer"},
	{"Config", "Logger", "TestLoggerIsTold"},

	{"SharedConfig", "StmtCache", "TestSharedStatements"},
	{"SharedConfig", "Cache", "TestTenantsShareOneBudget"},
	{"SharedConfig", "Proxy", "TestConfigReachesTheServer"},
	{"SharedConfig", "TLSConfig", "TestServerTLS"},
	{"SharedConfig", "ConnectTimeout DialContext", "TestConnectTimeoutIsAsConfigured"},
	{"SharedConfig", "KeepAlive KeepAliveIdleStop WarmConns", "TestPingsAreAsConfigured"},
	{"SharedConfig", "StaleAfter", "TestStaleAfterIsAsConfigured"},
	{"SharedConfig", "PingTimeout", "TestPingTimeoutIsAsConfigured"},
	{"SharedConfig", "Tracer", "TestTracerOfCacheAndShared"},

	{"DSN", `authToken auth_token jwt tls remote_encryption_key proxy base encoding stmt_cache coalesce group_commit lanes
		cache cache_lease cache_ttl cache_table_ttl stale_while_revalidate keepalive stale_after ping_timeout keepalive_idle_stop warm_conns
		pool_min pool_max retry _txlock connect_timeout timeout parse_time compress compress_columns compress_algorithm compress_min compress_guard`, "TestConfigFields"},

	{"TxOptions", "ReadOnly", "TestTxReadOnly"},
	{"TxOptions", "Pipelined", "TestPipelinedTransactionIsOneRoundTrip"},
	{"TxOptions", "Lock", "TestTxLockIsAsConfigured"},

	{"functions", "BulkChunked BulkChunkRows", "TestBulkInsertThatFails"},
	{"functions", "BulkProgress", "TestBulkInsert"},
	{"functions", "BulkIgnore BulkReplace BulkUpsert", "TestBulkInsertConflicts"},
	{"functions", "WithFresh WithMaxStale", "TestCacheAndOthers"},
	{"functions", "WithNoStore", "TestCacheKeepsOnlyFunctionsOfTables"},

	{"Tracer", "StatementStart StatementEnd", "TestTracer"},
	{"RequestTracer", "RequestStart RequestEnd", "TestTracer"},
	{"RetryTracer", "Retry", "TestTracerOfRetries"},
	{"DialTracer", "DialEnd", "TestTracer"},
	{"StatementStart", "SQL Tx", "TestTracer"},
	{"StatementEnd", "SQL Took Server Rows RowsAffected Err", "TestTracer"},
	{"StatementEnd", "Cached", "TestTracerOfCacheAndShared"},
	{"RequestStart", "Callers Statements Sent", "TestTracer"},
	{"RequestStart", "Retries", "TestTracerOfRetries"},
	{"RequestEnd", "Callers Statements Sent Took Server Received", "TestTracer"},
	{"RequestEnd", "Retries Err", "TestTracerOfRetries"},

	{"PoolStats", "Managed", "TestPoolStop"},
	{"PoolStats", "Size Grown Shrunk Decisions Decisions.Time Decisions.From Decisions.To Decisions.Reason", "TestPoolDecisions"},
	{"PoolStats", "Capped", "TestPoolHeedsRefusals"},
	{"Stats.Pool", "Managed Size Grown Shrunk Decisions Decisions.Time Decisions.From Decisions.To Decisions.Reason", "TestPoolDecisions"},
	{"Stats.Pool", "Capped", "TestPoolHeedsRefusals"},

	{"Stats.Statements", "Hits Misses Evictions Size", "TestStatementCacheCounters"},

	{"Stats.Lanes", "Lanes Alone Shared Requests Again Backoffs Grouped Groups Ungrouped", "TestLaneStats"},
	{"Stats.Lanes", "Waiting", "TestLanesAreAsConfigured"},
	{"Stats.Lanes", "Hedged Late", "TestLaneStatsOfSlowRequests"},
	{"Stats.Lanes", "Locked", "TestALockedDatabaseIsTriedAgain"},
	{"Stats.Lanes", "Writers Writing", "TestGatePlacesComeBack"},

	{"Stats.Requests", "Sent Failed Dials BytesSent BytesReceived TokenRefreshes", "TestConnectionStatsAreFed"},
	{"Stats.Requests", "Retries", "TestTracerOfRetries"},
	{"Stats.Requests", "RetriesWithheld", "TestRetriesStayWithinTheirBudget"},

	{"Stats.Streams", "Opened Closed Reused", "TestConnectionStatsAreFed"},
	{"Stats.Streams", "Expired Pings", "TestIdle"},

	{"Stats.KeepAlive", "Opened Interval Pings", "TestPingsAreAsConfigured"},
	{"Stats.KeepAlive", "Refreshed Stale PingFailures", "TestPingTimeoutIsAsConfigured"},
	{"Stats.KeepAlive", "HandshakeSaved", "TestWarmBeforeTheFirstStatement"},
	{"Stats.KeepAlive", "Moved", "TestDeadConnectionIsLeft"},

	{"Stats.Circuit", "Open Opened Refused Probes", "TestOutage"},

	{"Stats.Took", "Count Sum", "TestHistogramsOfRequests"},
	{"Stats.Served", "Count Sum", "TestHistogramsOfRequests"},

	{"Stats.Compression.Wire", "Sent Skipped Answers Answers.Encoding Answers.Coding Answers.Count Answers.Received Answers.Raw Answers.Time", "TestCompressOnASlowPath"},
	{"Stats.Compression.Wire", "TextSaved", "TestTextSavedIsFed"},
	{"Stats.Compression", `Columns Columns.Column Columns.Stored Columns.StoredFrom Columns.StoredTo Columns.Read Columns.ReadFrom Columns.ReadTo
		Columns.Skipped Columns.StoreTime Columns.ReadTime
		Algorithms Algorithms.Algorithm Algorithms.Stored Algorithms.StoredFrom Algorithms.StoredTo Algorithms.Read Algorithms.ReadFrom Algorithms.ReadTo
		Algorithms.StoreTime Algorithms.ReadTime`, "TestCompressStats"},

	{"Stats.Cache", "Hits Misses Stale Expired Coalesced Fills Refused TooLarge Bytes Evictions", "TestCacheStatsByTextAndTable"},
	{"Stats.Cache", "Entries Volatile ByCalls Texts.Volatile Tables.Volatile", "TestCacheStatsAreFed"},
	{"Stats.Cache", "Revalidated", "TestCacheRevalidates"},
	{"Stats.Cache", "Renewed", "TestCacheRenewsWhatIsWritten"},
	{"Stats.Cache", "Invalidations ByWrites ByUnknownWrites SchemaChanges", "TestCacheStatsByCause"},
	{"Stats.Cache", "Lost Settled", "TestCacheSettlesLostWrites"},
	{"Stats.Cache", "GaveUp", "TestLostWritesGivenUpAreCounted"},
	{"Stats.Cache.Texts", "Hits Misses Stale Expired Coalesced Fills Refused TooLarge Entries Bytes Evictions SQL Saved", "TestCacheStatsByTextAndTable"},
	{"Stats.Cache.Tables", "Hits Misses Stale Expired Coalesced Fills Refused TooLarge Entries Bytes Evictions Table Writes", "TestCacheStatsByTextAndTable"},
	{"Stats.Cache", "Texts Tables", "TestCacheStatsByTextAndTable"},

	{"hranatest.Options", "Profile", "hranatest/TestV2"},
	{"hranatest.Options", "Addr", "hranatest/TestAddr"},
	{"hranatest.Options", "Path", "hranatest/TestAFileStays"},
	{"hranatest.Options", "Token ReadToken", "hranatest/TestConformanceTokens"},
	{"hranatest.Options", "Prefix", "hranatest/TestPrefix"},
	{"hranatest.Options", "BaseURL", "hranatest/TestBaseURL"},
	{"hranatest.Options", "NullBatons", "hranatest/TestNullBatons"},
	{"hranatest.Options", "StreamCodes", "hranatest/TestStreamCodes"},
	{"hranatest.Options", "StreamIdle", "hranatest/TestStreamsExpireByThemselves"},
	{"hranatest.Options", "TxTimeout", "hranatest/TestAnOldTransactionIsTakenAwayByTheNextWriter"},
	{"hranatest.Options", "MaxStreams", "hranatest/TestMaxStreams"},
	{"hranatest.Options", "OpenTimeout", "hranatest/TestOpenTimeout"},
	{"hranatest.Options", "MaxResponse", "hranatest/TestConformanceLimits"},
	{"hranatest.Options", "MaxValue", "hranatest/TestMaxValue"},
	{"hranatest.Options", "OnRequest", "hranatest/TestOnRequest"},
	{"hranatest.Stats", "Requests Streams Connections Accepted Opened Statements", "hranatest/TestStats"},
}
