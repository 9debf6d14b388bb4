/**
 * Read by HAProxy. Its own `req.ssl_sni` takes a ClientHello in several records for another one (RFC 8446 §5.1 allows
 * it), ends names at a NUL and takes the first of two names. `lua.server_name` is "" while more is to come, "-" for
 * what names nobody (which no route can be called), else the name, in lower case and without a last dot.
 */
export const CLIENT_HELLO_LUA = `
local HANDSHAKE, CLIENT_HELLO, SERVER_NAME, HOST_NAME = 22, 1, 0, 0
-- RFC 8446 §5.1
local FRAGMENT_MAX = 16384

-- The whole handshake message, or "" or "-" with no length.
local function client_hello(data)
  local at, pieces, have, need = 1, {}, 0, nil
  repeat
    if #data < at then return "" end
    if data:byte(at) ~= HANDSHAKE then return "-" end
    if #data < at + 4 then return "" end
    local length = string.unpack(">I2", data, at + 3)
    if data:byte(at + 1) ~= 3 or length == 0 or length > FRAGMENT_MAX then return "-" end
    local piece = data:sub(at + 5, at + 4 + length)
    pieces[#pieces + 1] = piece
    have = have + #piece
    if need == nil and have >= 4 then
      local head = table.concat(pieces)
      if head:byte(1) ~= CLIENT_HELLO then return "-" end
      need = 4 + string.unpack(">I3", head, 2)
    end
    if need ~= nil and have >= need then return table.concat(pieces), need end
    at = at + 5 + length
  until #piece < length
  return ""
end

-- A DNS name and no address: those end in a label of digits, or have colons.
local function host_name(name)
  if name:byte(-1) == 46 then name = name:sub(1, -2) end
  if #name > 253 or not name:find("^[%w_-][%w_.-]*$") or name:find("..", 1, true) then return "-" end
  if not name:find("%a[%w_-]*$") then return "-" end
  return name:lower()
end

-- RFC 6066 §3, with one name: "the ServerNameList MUST NOT contain more than one name of the same name_type".
local function server_name(data)
  local hello, last = client_hello(data)
  if last == nil then return hello end
  local function number(format, size, at)
    if at + size - 1 <= last then return (string.unpack(format, hello, at)) end
  end
  local at = 1 + 4 + 2 + 32
  for _, vector in ipairs({ { ">I1", 1 }, { ">I2", 2 }, { ">I1", 1 } }) do
    local length = number(vector[1], vector[2], at)
    if length == nil then return "-" end
    at = at + vector[2] + length
  end
  local length = number(">I2", 2, at)
  if length == nil or at + 1 + length ~= last then return "-" end
  at = at + 2
  local name = nil
  while at <= last do
    local kind, length = number(">I2", 2, at), number(">I2", 2, at + 2)
    if length == nil or at + 3 + length > last then return "-" end
    if kind == SERVER_NAME then
      if name ~= nil or length < 5 then return "-" end
      local list, of, octets = string.unpack(">I2 I1 I2", hello, at + 4)
      if list ~= length - 2 or of ~= HOST_NAME or octets ~= length - 5 then return "-" end
      name = hello:sub(at + 9, at + 3 + length)
    end
    at = at + 4 + length
  end
  return name == nil and "-" or host_name(name)
end

core.register_fetches("server_name", function(txn) return server_name(txn.req:data() or "") end)
`;
