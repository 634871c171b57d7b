-- A head of its own for each request, as behind any ingress that traces: `wrk -s traced.lua URL -- RUN [METHOD BODY]`.
-- The traceparent (W3C Trace Context) is RUN, 16 hexadecimal digits that no other run has, and a number that counts on.
-- NUMBER in the target and in the body is 00 to 99 in turn. Heads are made in advance but for their trace: wrk shall
-- not become what limits.
local VARIANTS = 100
local format = string.format
local before, after = {}, {}
local variants, count = 1, 0

function init(arguments)
  wrk.method, wrk.body = arguments[2] or 'GET', arguments[3]
  wrk.headers['traceparent'] = '00-' .. arguments[1] .. 'TRACE-b7ad6b7169203331-01'
  if (wrk.path .. (wrk.body or '')):find('NUMBER') then
    variants = VARIANTS
  end
  for number = 0, variants - 1 do
    local digits = format('%02d', number)
    local body = wrk.body and wrk.body:gsub('NUMBER', digits)
    local request = wrk.format(nil, (wrk.path:gsub('NUMBER', digits)), nil, body)
    local first, last = request:find('TRACE-', 1, true)
    before[number], after[number] = request:sub(1, first - 1), request:sub(last)
  end
end

function request()
  count = count + 1
  local variant = count % variants
  return before[variant] .. format('%016x', count) .. after[variant]
end
