/** English function words, which carry no content of their own: articles, pronouns, prepositions, auxiliaries. */
const LIST = `
a an the this that these those some any each every either neither both all no none another such other
i me my mine myself you your yours yourself he him his himself she her hers herself it its itself
we us our ours ourselves they them their theirs themselves who whom whose which what
am is are was were be been being do does did doing done have has had having
will would shall should can could may might must ought
isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't can't cannot couldn't shouldn't
i'm i've i'll i'd you're you've it's that's there's he's she's we're we've they're
and or but nor so yet if then else than because since although though unless until while whether as
at by for from in into of off on onto out over to under up upon with within without about above across after against
along among around before behind below between beyond down during near through toward towards
not never only just too very also even again once here there where when why how now
`
export const stopWords: ReadonlySet<string> = new Set(LIST.trim().split(/\s+/))
