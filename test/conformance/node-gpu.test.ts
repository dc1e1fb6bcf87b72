import { conformance } from "./suite.ts"

await conformance("node-gpu")
