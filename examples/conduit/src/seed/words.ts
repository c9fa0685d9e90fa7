/** What the made-up people and articles are made of. */

export const FIRST_NAMES: readonly string[] =
  'Ada Alma Amara Anton Aram Arjun Astrid Ayla Basma Beatriz Bruno Camille Chidi Clara Dalia Daniel Darya Diego Edith Elif Emeka Emil Esther Farah Felix Fiona Gabriel Greta Hana Hassan Hedda Hugo Ida Ilya Imani Ines Ismail Ivo Jakub Jana Jonas Joy Juno Kaito Karim Keiko Kofi Lars Leila Lena Leo Lucia Magnus Maja Malik Mara Mateo Mei Mila Mina Naomi Nils Nina Noor Olga Omar Otto Paula Pavel Petra Priya Rafael Rania Rosa Ruben Sana Sara Selma Simon Sofia Stefan Sunil Tara Tessa Theo Tomas Uma Vera Viktor Wanda Wren Yara Yusuf Zoe'.split(
    ' ',
  )

export const LAST_NAMES: readonly string[] =
  'Abara Adler Almeida Andersen Aziz Baker Banerjee Becker Bell Bianchi Brandt Castro Chen Costa Cruz Dahl Diallo Dubois Eriksen Farouk Fischer Fontaine Garcia Gruber Haddad Hansen Hoffmann Ito Ivanova Jansen Joshi Kamara Kaplan Keller Khan Kim Kowalski Kumar Larsen Lee Lindqvist Lopez Marchetti Meyer Mori Moreau Mukherjee Nakamura Novak Nwosu Okafor Olsen Park Pereira Petrov Popescu Quist Rahman Ramos Ricci Rossi Sato Schmidt Silva Singh Sorensen Suzuki Takahashi Tan Tanaka Torres Varga Vogel Wagner Weber Wolf Yilmaz Zhang Zimmer'.split(
    ' ',
  )

export const TRADES: readonly string[] = [
  'Gardener',
  'Carpenter',
  'Nurse',
  'Site engineer',
  'Database administrator',
  'Bread baker',
  'Cartographer',
  'Translator',
  'Bicycle mechanic',
  'Physics teacher',
  'Sailor',
  'Librarian',
  'Systems programmer',
  'Ceramicist',
  'Beekeeper',
  'Sound engineer',
  'Night-shift operator',
  'Typesetter',
]

export const PLACES: readonly string[] =
  'Lisbon,Bergen,Kyoto,Accra,Gdansk,Valparaiso,Leeds,Tallinn,Pune,Izmir,Oaxaca,Trieste,Galway,Busan,Dakar,Utrecht,Porto,Winnipeg,Hobart,Graz'.split(
    ',',
  )

/** Subjects: what an article is about, with its tags and the things it speaks of. */
export interface Subject {
  readonly tags: readonly string[]
  readonly things: readonly string[]
  readonly acts: readonly string[]
}

export const SUBJECTS: readonly Subject[] = [
  {
    tags: ['databases', 'postgres', 'sql', 'performance', 'engineering'],
    things: [
      'a slow query',
      'an index',
      'a replica',
      'a vacuum run',
      'a foreign key',
      'the query planner',
      'a migration',
    ],
    acts: [
      'reading a query plan',
      'choosing an index',
      'moving a large table',
      'measuring a cache',
      'testing a backup',
    ],
  },
  {
    tags: ['gardening', 'soil', 'spring', 'howto', 'nature'],
    things: ['a raised bed', 'compost', 'a late frost', 'a tomato plant', 'a hedge', 'clay soil', 'a row of beans'],
    acts: ['sowing beans', 'pruning a pear tree', 'turning compost', 'watering in August', 'saving seed'],
  },
  {
    tags: ['bread', 'baking', 'sourdough', 'food', 'howto'],
    things: ['a sourdough starter', 'a rye loaf', 'a cold oven', 'strong flour', 'an overnight dough', 'a crust'],
    acts: ['shaping a loaf', 'feeding a starter', 'baking without steam', 'folding a wet dough', 'scaling a recipe'],
  },
  {
    tags: ['bicycles', 'repair', 'travel', 'commuting', 'howto'],
    things: ['a worn chain', 'a bent wheel', 'a rim brake', 'a steel frame', 'a puncture', 'a dynamo light'],
    acts: ['truing a wheel', 'riding through winter', 'packing for a week', 'fitting a mudguard', 'replacing a cable'],
  },
  {
    tags: ['javascript', 'typescript', 'web', 'programming', 'engineering'],
    things: ['a type error', 'a build step', 'a closure', 'a form', 'an event loop', 'a stack trace', 'a dependency'],
    acts: ['deleting code', 'naming a function', 'reading a stack trace', 'typing a boundary', 'waiting for a promise'],
  },
  {
    tags: ['teaching', 'learning', 'school', 'notes', 'essays'],
    things: ['a blank board', 'a wrong answer', 'a question', 'a proof', 'an exam', 'a quiet class'],
    acts: ['asking a better question', 'marking essays', 'explaining friction', 'learning names', 'ending a lesson'],
  },
  {
    tags: ['sailing', 'weather', 'travel', 'sea', 'notes'],
    things: ['a falling barometer', 'a knot', 'a lee shore', 'a night watch', 'an old chart', 'a torn sail'],
    acts: ['reading clouds', 'anchoring in sand', 'crossing at night', 'splicing a rope', 'keeping a log'],
  },
  {
    tags: ['operations', 'on-call', 'reliability', 'engineering', 'postmortem'],
    things: ['a pager', 'a full disc', 'a deploy', 'a runbook', 'a retry', 'a queue', 'an alert'],
    acts: ['writing a runbook', 'rolling back', 'ending an incident', 'draining a server', 'sleeping on call'],
  },
  {
    tags: ['music', 'sound', 'listening', 'notes', 'craft'],
    things: ['a tape loop', 'a small room', 'a borrowed microphone', 'a metronome', 'a long note'],
    acts: ['listening twice', 'recording a choir', 'tuning by ear', 'practising slowly', 'mixing quietly'],
  },
  {
    tags: ['books', 'reading', 'libraries', 'essays', 'culture'],
    things: ['a margin note', 'a lost book', 'a long novel', 'a card catalogue', 'a translation', 'a footnote'],
    acts: ['reading aloud', 'giving books away', 'translating a joke', 'shelving by colour', 'rereading'],
  },
  {
    tags: ['bees', 'nature', 'summer', 'howto', 'honey'],
    things: ['a swarm', 'a weak hive', 'the first frame', 'a smoker', 'a lime tree', 'a queen'],
    acts: ['catching a swarm', 'feeding in autumn', 'opening a hive', 'counting mites', 'leaving bees alone'],
  },
  {
    tags: ['pottery', 'craft', 'clay', 'making', 'howto'],
    things: ['a wobbling pot', 'an ash glaze', 'a cracked bowl', 'the kiln', 'a plain cup', 'wet clay'],
    acts: ['centring clay', 'firing with wood', 'throwing a lid', 'mending a bowl', 'testing a glaze'],
  },
]

/** `{thing}` and `{act}` are replaced; a capital asks for one. */
export const TITLES: readonly string[] = [
  'What {thing} taught me',
  'The case for {act}',
  '{Act}, one year later',
  'Notes on {act}',
  'Why {thing} is not the problem',
  'How I stopped worrying about {thing}',
  '{Act}: a short guide',
  'A field guide to {thing}',
  'Against {act}',
  'Everything I got wrong about {thing}',
  'Three ways of {act}',
  '{Thing}, and what came after',
  'The quiet art of {act}',
  'Before you begin {act}',
  'Living with {thing}',
  'In praise of {thing}',
]

export const DESCRIPTIONS: readonly string[] = [
  'What I would tell somebody who starts today.',
  'It took me ten years to learn this, and ten minutes to write it down.',
  'A few things that helped, and two that did not.',
  'Mostly about patience, a little about {thing}.',
  'With measurements, because opinions are cheap.',
  'Some notes from the workshop, for those who come next.',
  'I tried it the other way first, so that you need not.',
  'On {act}, and on knowing when to leave it.',
  'A small story with a practical end.',
]

export const OPENINGS: readonly string[] = [
  'I came to {act} late, and by the wrong door.',
  'Nobody warns you about {thing}.',
  'For a long time I thought {act} was something other people did.',
  'There is a moment, somewhere in the second week, when {thing} starts to make sense.',
  'Last winter I kept a notebook about {act}. This is what was left after I crossed out the complaints.',
  'My neighbour has a saying about {thing}, which I cannot print here.',
]

export const SENTENCES: readonly string[] = [
  'The first attempt is for finding out which question to ask.',
  'Most of what goes wrong with {thing} went wrong the day before.',
  'I wrote the numbers down, because memory is kind to whoever does the remembering.',
  'It is slower this way, and it stays done.',
  'You can hear it when it is right, although I could not tell you what you hear.',
  'People who are good at {act} rarely look busy.',
  'There is a simple test: leave it alone for a day and look again.',
  'If you change two things at once, you learn nothing about either.',
  'The tools matter less than the light you work in.',
  'I asked four people about {thing} and got five answers, all of them confident.',
  'Start with the part you are afraid of; the rest is only work.',
  'What looks like talent is usually a habit with a few years behind it.',
  'Somebody has solved this before, and wrote it down in a place where nobody looks.',
  'It helps to say aloud what you expect before you look.',
  'A mistake that is easy to undo is hardly a mistake.',
  'Good enough on Tuesday beats perfect some other time.',
  'I used to think that {thing} needed more attention; it needed less, but at the right hour.',
  'The second time takes half as long, and the third is where you begin to see.',
  'When in doubt, measure; when not in doubt, measure too.',
  'None of this is new, which is the best thing to be said for it.',
]

export const HEADINGS: readonly string[] = [
  'Where to begin',
  'What went wrong',
  'The part that matters',
  'A word about {thing}',
  'What I would do now',
  'In practice',
  'For the impatient',
]

export const POINTS: readonly string[] = [
  'Write down what you see, not what you hoped for.',
  'Change one thing at a time.',
  'Keep the old one until the new one has survived a week.',
  'Ask somebody who has done it twice.',
  'Stop while it is still going well.',
  'Label everything, including the obvious.',
  'Leave more time for {act} than you think.',
  'Begin with {thing}.',
]

export const QUOTES: readonly string[] = [
  'It is never the thing you polished that breaks.',
  'Do less, but finish it.',
  'The map was right. I was holding it upside down.',
  'Whoever says it cannot be simpler has stopped looking.',
]

export const COMMENTS: readonly string[] = [
  'This is the clearest thing I have read about it. Thank you.',
  'I tried this over the weekend, and the second step made all the difference.',
  'Not sure I agree about the ending, but the middle part is exactly right.',
  'Saved for later. Then read at once, as it turned out.',
  'My grandmother did it the other way round and would not hear of this.',
  'Could you write more about what went wrong? That is where I always learn most.',
  'We had the same thing last year. It was the **other** cause, of course.',
  'Sent this to everyone at work. Two of them have already changed their minds.',
  'A small correction: the third point only holds in winter.',
  'I laughed, then I checked, then I stopped laughing.',
  'How long did it take you to get used to it?',
  'Beautifully put. The line about Tuesday is going on my wall.',
  'Counterpoint: sometimes you have to change two things at once.',
  'Thank you for writing down the numbers.',
]
