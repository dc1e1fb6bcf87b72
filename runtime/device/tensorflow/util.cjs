/** Node's `util` with what tfjs-node still expects of it: newer Node dropped these functions or warns of them. */
module.exports = Object.assign(Object.create(require("node:util")), {
  isArray: Array.isArray,
  isNullOrUndefined: (value) => value === undefined || value === null
})
