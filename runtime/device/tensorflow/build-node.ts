/**
 * Builds the native package of the device `node` (with `--gpu`: of `node-gpu`) where its own install script cannot download
 * libtensorflow: compiles tfjs-node's binding against the library inside TensorFlow's Python package.
 *
 *   node runtime/device/tensorflow/build-node.ts [--gpu] [folder]
 *
 * Linux on x64 or arm64, with g++ (or CXX), Python's pip (or PYTHON) and npm. Every download is pinned by its hash; no code
 * of a downloaded package runs while it is built.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { BINDING, BUILD_FOLDER, inBuild, type Kind } from "./locate.ts"
import { npmPackages, wheels } from "./pins.ts"

const { positionals, values } = parseArgs({
  options: { gpu: { type: "boolean", default: false } },
  allowPositionals: true
})
const kind: Kind = values.gpu ? "node-gpu" : "node"
const folder = resolve(positionals[0] ?? BUILD_FOLDER)

const main = (): void => {
  const begun = performance.now()
  const tools = findTools()
  const pinned = wheels[`${kind} ${process.platform} ${process.arch}`]
  if (pinned === undefined)
    throw new Error(
      `there is no build for ${kind} on ${process.platform} ${process.arch}, only for ${Object.keys(wheels).join(", ")}`
    )
  const work = temporary()
  try {
    const made = join(work, "node_modules", packageName())
    report(`fetching ${pinned.length === 1 ? "TensorFlow" : "TensorFlow and CUDA"} (${size(pinned)} MB) with pip`)
    fetchWheels(tools, pinned, work, join(made, "deps"))
    report("fetching tfjs-node and what it requires with npm")
    for (const name of [packageName(), ...REQUIRED]) fetchPackage(name, join(work, "node_modules", name))
    fetchPackage(HEADERS, join(work, "headers"))
    writeStandIn(join(work, "node_modules", STAND_IN))
    report("compiling the binding")
    compile(tools, made, join(work, "headers", "include"))
    rmSync(join(made, "deps", "tensorflow", "include"), { recursive: true })
    moveIn(join(work, "node_modules"))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  report(`built in ${Math.round((performance.now() - begun) / 1000)} s: ${inBuild(folder, kind)}`)
  if (folder !== BUILD_FOLDER) report(`prefline finds it with PREFLINE_TFJS_NODE=${folder}`)
  report(`\`npm run prefline -- doctor --device ${kind}\` tells whether it works`)
}

const report = (text: string) => process.stdout.write(`${text}\n`)

/** On the target's file system, and inside `node_modules`, which version control leaves alone. */
const temporary = () => {
  const packages = join(folder, "node_modules")
  mkdirSync(packages, { recursive: true })
  return mkdtempSync(join(packages, ".building-"))
}

const packageName = () => (kind === "node" ? "@tensorflow/tfjs-node" : "@tensorflow/tfjs-node-gpu")

/** What tfjs-node requires besides the tensor library, which the device gives it from prefline's own packages. */
const REQUIRED = ["google-protobuf", "progress"]
const HEADERS = "node-api-headers"
/** The installer of native packages: of its many parts only the path of the binding is asked for. */
const STAND_IN = "@mapbox/node-pre-gyp"

interface Tools {
  readonly compiler: string
  readonly python: string
}

/** Throws with all that is missing. */
const findTools = (): Tools => {
  const tools = { compiler: process.env["CXX"] || "g++", python: process.env["PYTHON"] || "python3" }
  const works = (command: string, ...args: ReadonlyArray<string>) => {
    try {
      execFileSync(command, args, { stdio: "ignore" })
      return true
    } catch {
      return false // absent or broken: either way it is reported as missing
    }
  }
  const missing = [
    works(tools.compiler, "--version") ? "" : `a C++ compiler (${tools.compiler}; Debian: apt-get install g++)`,
    works(tools.python, "-m", "pip", "--version") ? "" : `Python with pip (${tools.python} -m pip)`,
    works("npm", "--version") ? "" : "npm",
    works("tar", "--version") ? "" : "tar"
  ].filter((text) => text !== "")
  if (missing.length > 0) throw new Error(`missing: ${missing.join("; ")}`)
  return tools
}

type Wheels = NonNullable<(typeof wheels)[string]>

const size = (pinned: Wheels) => pinned.reduce((sum, { megabytes }) => sum + megabytes, 0)

/** pip checks the hashes. What is not needed to compile and to run stays packed. */
const fetchWheels = ({ python }: Tools, pinned: Wheels, work: string, into: string) => {
  const requirements = join(work, "requirements.txt")
  writeFileSync(
    requirements,
    pinned.map(({ name, sha256, version }) => `${name}==${version} --hash=sha256:${sha256}\n`).join("")
  )
  const downloads = join(work, "wheels")
  const platforms = ["manylinux2014", "manylinux_2_17", "manylinux_2_27"].map(
    (name) => `--platform=${name}_${machine()}`
  )
  const options = [
    "--no-deps",
    "--require-hashes",
    "--only-binary=:all:",
    "--python-version=3.12",
    "--implementation=cp"
  ]
  const abis = ["--abi=cp312", "--abi=none"]
  const quiet = ["--quiet", "--disable-pip-version-check", "--no-cache-dir"]
  run(python, "-m", "pip", "download", ...quiet, ...options, ...abis, ...platforms, "-d", downloads, "-r", requirements)
  for (const wheel of readdirSync(downloads)) run(python, "-c", UNPACK, join(downloads, wheel), into)
  rmSync(downloads, { recursive: true })
}

const machine = () => (process.arch === "x64" ? "x86_64" : "aarch64")

/** Libraries and C headers of a wheel. */
const UNPACK = `
import re, sys, zipfile
wanted = re.compile(r"tensorflow/libtensorflow_(cc|framework)\\.so\\.2$|nvidia/.*\\.so[.0-9]*$|nvidia/cuda_nvcc/(bin/ptxas$|nvvm/libdevice/)|tensorflow/include/(tensorflow/c/|tensorflow/core/platform/|tsl/|xla/tsl/)")
with zipfile.ZipFile(sys.argv[1]) as wheel:
  for entry in wheel.infolist():
    if wanted.match(entry.filename): wheel.extract(entry, sys.argv[2])
`

/** A package from npm, unpacked; its scripts do not run. */
const fetchPackage = (name: string, into: string) => {
  const { integrity, version } = npmPackages[name]!
  const downloads = temporary()
  try {
    run("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", downloads, `${name}@${version}`)
    const [archive] = readdirSync(downloads)
    const path = join(downloads, archive!)
    const actual = `sha512-${createHash("sha512").update(readFileSync(path)).digest("base64")}`
    if (actual !== integrity) throw new Error(`${name}@${version} is not the package that was pinned: ${actual}`)
    mkdirSync(into, { recursive: true })
    run("tar", "-xzf", path, "-C", into, "--strip-components=1")
  } finally {
    rmSync(downloads, { recursive: true, force: true })
  }
}

const writeStandIn = (into: string) => {
  mkdirSync(into, { recursive: true })
  writeFileSync(join(into, "package.json"), JSON.stringify({ name: STAND_IN, version: "0.0.0", main: "index.js" }))
  const source = `const { dirname, join } = require("node:path")
exports.find = (manifest) => join(dirname(manifest), ${JSON.stringify(BINDING)})
`
  writeFileSync(join(into, "index.js"), source)
}

/** The same sources, options and layout as the package's own binding.gyp, but for the library's name. */
const compile = ({ compiler }: Tools, made: string, headers: string) => {
  const [library, output] = [join(made, "deps", "tensorflow"), join(made, BINDING)]
  mkdirSync(dirname(output), { recursive: true })
  const sources = ["tfjs_backend.cc", "tfjs_binding.cc"].map((name) => join(made, "binding", name))
  const includes = [headers, join(library, "include")].map((path) => `-I${path}`)
  const libraries = ["tensorflow_cc", "tensorflow_framework"].map((name) => `-l:lib${name}.so.2`)
  const link = [`-L${library}`, ...libraries, "-Wl,-rpath,$ORIGIN/../../deps/tensorflow"]
  run(
    compiler,
    "-O2",
    "-std=c++17",
    "-fPIC",
    "-shared",
    "-DNAPI_VERSION=8",
    ...includes,
    ...sources,
    "-o",
    output,
    ...link
  )
}

/** Package by package, so that a build of the other kind beside it stays. */
const moveIn = (made: string) => {
  for (const name of [STAND_IN, ...REQUIRED, packageName()]) {
    const target = join(folder, "node_modules", name)
    mkdirSync(dirname(target), { recursive: true })
    if (existsSync(target)) rmSync(target, { recursive: true })
    renameSync(join(made, name), target)
  }
}

const run = (command: string, ...args: ReadonlyArray<string>) =>
  execFileSync(command, args, { stdio: ["ignore", "ignore", "inherit"] })

try {
  main()
} catch (cause) {
  process.stderr.write(`build-node: ${cause instanceof Error ? cause.message : String(cause)}\n`)
  process.exitCode = 1
}
