-- One script for every row: `-- METHOD CONTENT_TYPE BODY_FILE LENGTH FIELDS` makes the request, built once. Type and file may
-- be -; the body is the file's bytes over and over up to LENGTH (0: once); FIELDS is how many header fields are sent besides.
-- done() prints the counters as JSON after BENCH, because wrk's own text is rounded and has no p99.9.
function init(args)
   wrk.method = args[1] or "GET"
   if args[2] and args[2] ~= "-" then wrk.headers["Content-Type"] = args[2] end
   if args[3] and args[3] ~= "-" then
      local file = assert(io.open(args[3], "rb"))
      wrk.body = file:read("*a")
      file:close()
      local length = tonumber(args[4] or 0)
      if length > 0 then wrk.body = wrk.body:rep(math.ceil(length / #wrk.body)):sub(1, length) end
   end
   for i = 1, tonumber(args[5] or 0) do
      wrk.headers[string.format("x-field-%02d", i)] = string.format("0123456789abcdefgh%02d", i) -- as load/exchange.go
   end
end

function done(summary, latency, _)
   local e = summary.errors
   io.write(string.format(
      'BENCH {"requests": %d, "seconds": %.6f, "bytes": %d, ' ..
      '"p50": %.0f, "p90": %.0f, "p99": %.0f, "p999": %.0f, "max": %.0f, ' ..
      '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
      summary.requests, summary.duration / 1e6, summary.bytes,
      latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max,
      e.connect, e.read, e.write, e.status, e.timeout))
end
