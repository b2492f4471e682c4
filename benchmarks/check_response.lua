-- For wrk: start order sagas and check every response.
--    wrk ... check_response.lua URL -- FILE_OF_THE_BODY STATUS SUCCESS
-- Prints one line of JSON: the number of right responses, the first wrong one, and the latencies.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  local file = assert(io.open(arguments[1]))
  wrk.method, wrk.body = "POST", file:read("*a")
  wrk.headers["content-type"] = "application/json"
  file:close()
  expected_status = '"status":"' .. arguments[2] .. '"'
  expected_success = '"success":' .. arguments[3]
  right, wrong, example = 0, 0, ""
end

function response(status, _, body)
  local fits = body:find(expected_status, 1, true) and body:find(expected_success, 1, true)
  if status == 200 and fits then
    right = right + 1
  else
    wrong = wrong + 1
    if example == "" then
      example = status .. " " .. body:sub(1, 200)
    end
  end
end

function done(summary, latency, _)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  local right, wrong, example = 0, 0, ""
  for _, thread in ipairs(threads) do
    right, wrong = right + thread:get("right"), wrong + thread:get("wrong")
    example = example .. thread:get("example")
  end
  print(string.format(
    '{"right":%d,"wrong":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"example":"%s"}',
    right, wrong + failed, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    example:gsub('[%c"\\]', "'")
  ))
end
