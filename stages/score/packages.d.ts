/** The parts of untyped packages that this folder uses. */
declare module "sentiment" {
  export default class Sentiment {
    analyze(text: string): { readonly score: number; readonly comparative: number }
  }
}

declare module "vader-sentiment" {
  const vader: {
    readonly SentimentIntensityAnalyzer: {
      readonly polarity_scores: (text: string) => { readonly compound: number }
    }
  }
  export default vader
}
