/** A tiny model and a vocabulary as llama2.c writes them. */
export { model, tokenizer } from "../../../stages/laws/llama2cFile.ts"
