-- What is asked for, and wrk's report as one line that is easy to read.
wrk.method = os.getenv("METHOD") or "GET"

function done(summary, latency)
	local e = summary.errors

	io.write(string.format("LOAD %d %d %d %d %d\n", summary.requests,
	    summary.duration, latency:percentile(99), e.status,
	    e.connect + e.read + e.write + e.timeout))
end
