-- What wrk sends: BENCH_SCENARIO names the request, BENCH_SERIAL keeps order numbers of different runs apart.
local scenario = os.getenv("BENCH_SCENARIO")
local serial = tonumber(os.getenv("BENCH_SERIAL"))
local rows = tonumber(os.getenv("BENCH_ROWS"))
local json = {["Content-Type"] = "application/json"}
local count = 0
math.randomseed(serial)

local function product() return string.format("prod_%06d", math.random(0, rows - 1)) end

local requests = {}

function requests.get() return wrk.format("GET", "/products/" .. product()) end

function requests.products() return wrk.format("GET", "/products?limit=50") end

function requests.orders() return wrk.format("GET", "/orders?status=pending&limit=50") end

function requests.order() return wrk.format("GET", string.format("/orders/order_%06d", math.random(0, rows - 1))) end

function requests.sorted() return wrk.format("GET", "/orders?status=pending&sort=-total&limit=50") end

function requests.merged() return wrk.format("GET", "/orders?status[in]=pending,processing&limit=50") end

function requests.customer()
  local where = string.format("customer_id=cust_%06d&total[gte]=1000", math.random(0, 99))
  return wrk.format("GET", "/orders?" .. where .. "&limit=50")
end

function requests.post()
  count = count + 1
  local items, cents = {}, 0
  for place = 1, 3 do
    local quantity, price = math.random(1, 4), math.random(100, 99999)
    cents = cents + quantity * price
    items[place] = string.format('{"product_id":"%s","quantity":%d,"unit_price":%.2f}', product(), quantity, price / 100)
  end
  local customer = math.random(0, 99)
  return wrk.format("POST", "/orders", json, string.format(
    '{"order_number":"B%d-%08d","customer_id":"cust_%06d","items":[%s],"total":%.2f,"shipping_address_id":"addr_%06d"}',
    serial, count, customer, table.concat(items, ","), cents / 100, customer))
end

function requests.put()
  local id = product()
  return wrk.format("PUT", "/products/" .. id, json, string.format(
    '{"sku":"SKU-%s","name":"Sample product %s","price":%.2f,"inventory":%d,"category":"mugs","location":"A-1"}',
    id:sub(6), id:sub(6), math.random(100, 99999) / 100, math.random(0, 999)))
end

request = requests[scenario]

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"bad":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
