-- wrk: requests of tenants drawn at random, each with its token; one JSON line at the end.
-- arguments: FILE (lines "tenant token"), COUNT (of its lines to use), ORDER (random or once), DELAY (ms between requests)
local requests, order, pause, at = {}, "random", 0, 0

function init(arguments)
  local count = tonumber(arguments[2])
  order, pause = arguments[3], tonumber(arguments[4])
  for line in io.lines(arguments[1]) do
    local tenant, token = line:match("^(%S+) (%S+)$")
    requests[#requests + 1] = "GET /api/v1/conversations HTTP/1.1\r\nHost: router\r\nX-Tenant-ID: " .. tenant
      .. "\r\nAuthorization: Bearer " .. token .. "\r\n\r\n"
    if #requests == count then break end
  end
  math.randomseed(os.time())
end

function request()
  if order == "once" then
    at = at % #requests + 1
    return requests[at]
  end
  return requests[math.random(#requests)]
end

if os.getenv("LOAD_DELAY") then
  function delay() return pause end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %d, "p90": %d, "p99": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
