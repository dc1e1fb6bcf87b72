import { conformance } from "./suite.ts"

await conformance("cpu")
