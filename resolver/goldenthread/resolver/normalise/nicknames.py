"""Say which formal given names a short form may stand for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["NICKNAMES"]

_FORMS = """
abigail: abby abbie gail
abraham: abe bram
adelaide: addie ada heidi
albert: al bert bertie
alexander: alex al alec sandy sasha xander alexandre alejandro
alexandra: alex alexa sandra sasha lexi sandy
alfred: al alf alfie fred freddie
alice: allie ali
alison: ali allie
amanda: mandy manda
andrea: andie andy
andrew: andy drew andre andres
angela: angie
ann: annie nan nancy anna anne
anthony: tony ant antonio
archibald: archie
arthur: art artie
augustus: gus august
barbara: barb babs barbie
bartholomew: bart
beatrice: bea trixie
benjamin: ben benny benji benjamen
bernard: bernie barney
bradley: brad
cameron: cam
caroline: carrie carol caro
catherine: cathy cath kate katie kathy kitty cat cate kay katherine kathryn catharine
charles: charlie chuck chas chaz carl
charlotte: charlie lottie lotte char
christina: chris tina chrissie christine
christine: chris tina chrissie christina
christopher: chris topher kit kris
cynthia: cindy
daniel: dan danny
danielle: dani
david: dave davey davy
deborah: deb debbie debby debra
dominic: dom nick
donald: don donnie
dorothy: dot dottie dolly
douglas: doug
edmund: ed eddie ned
edward: ed eddie ted teddy ned eduardo
edwin: ed eddie ned
eleanor: ellie nell nellie nora ella
elizabeth: liz lizzie beth betty betsy eliza bess bessie libby lisa elsie liza elisabeth lizzy
ella: ellie
emily: em emmy
emma: em emmy
ernest: ernie
eugene: gene
evelyn: eve evie
ferdinand: ferdie
florence: flo flora florrie
frances: fran fanny franny frankie
francis: frank frankie francisco
franklin: frank frankie
frederick: fred freddie freddy fritz rick frederic
gabriel: gabe
gabrielle: gabby gaby
gareth: gary
geoffrey: geoff jeff jeffrey
george: georgie jorge
gerald: gerry jerry
gerard: gerry jerry
gertrude: gertie trudy
gregory: greg gregg
harold: harry hal
harriet: hattie
helen: nell nellie ellen
henry: harry hank hal enrique
herbert: herb bert bertie
howard: howie
hubert: bert hugh
isaac: ike zak
isabel: bella izzy belle isabella isabelle
isabella: bella izzy belle
jacob: jake jack jakob
jacqueline: jackie jacqui
james: jim jimmy jamie jem jimmie
jane: janie jenny
janet: jan
jean: jeannie
jeffrey: jeff
jennifer: jen jenny jenn
jeremy: jerry jem
jerome: jerry
jessica: jess jessie
joan: joanie
joanne: jo joanna
john: jack johnny jon jonny johnnie juan
jonathan: jon jonny nathan jonathon johnathan
joseph: joe joey jo jose
josephine: jo josie
joshua: josh
judith: judy jude
julia: julie jules
julian: jules
kathleen: kathy kath kate katie kay
kenneth: ken kenny
kimberly: kim kimberley
kristen: kris
lauren: laurie
laurence: larry lawrie lawrence
lawrence: larry laurie lawrie
leonard: len lenny leo
leonardo: leo
leslie: les
lewis: lew louis
lillian: lily lil
louis: lou louie
louisa: lou
louise: lou
lucille: lucy
madeleine: maddie madeline
margaret: maggie meg peggy peg marge margie daisy greta rita madge mags
maria: mary marie mia
martha: mattie patty
martin: marty
mary: molly polly mamie may maria marie
matilda: tilly mattie
matthew: matt matty mathew
maureen: mo
maurice: morris moe
maximilian: max
maxwell: max
megan: meg
melissa: mel missy lissa
michael: mike mick micky mickey mikey mitch miguel
michelle: shelly chelle
mildred: millie
millicent: millie
miranda: mandy randy
mitchell: mitch
mohammed: mohamed muhammad mohammad mo
nancy: nan
natalie: nat
nathan: nate nat
nathaniel: nate nat nathan
nicholas: nick nicky nico nicolas
nicole: nicky nikki
norman: norm
oliver: ollie
olivia: liv livvy
oscar: ozzie
pamela: pam
patricia: pat patty tricia trish patti
patrick: pat paddy rick
paul: pablo
paula: polly
penelope: penny
peter: pete pedro
philip: phil pip phillip
phillip: phil pip philip
phyllis: phyl
rachel: rach rachael
raymond: ray
rebecca: becky becca
reginald: reg reggie
richard: rick dick rich richie ricky ricardo
robert: rob bob bobby robbie bobbie bert roberto robby
roberta: bobbie robbie
rodney: rod
roger: rodge
roland: rollo
ronald: ron ronnie
rosemary: rose rosie
rudolph: rudy
rupert: robert
russell: russ rusty
ruth: ruthie
samantha: sam sammie
samuel: sam sammy
sandra: sandy
sarah: sally sadie sara
sebastian: seb
sharon: shari
sidney: sid
simon: si
sophia: sophie
stanley: stan
stella: estelle
stephanie: steph stef
stephen: steve steven stevie
steven: steve stephen stevie
stuart: stu
susan: sue susie suzy suzanne
susannah: sue susie anna
suzanne: sue susie susan
sylvester: sly
sylvia: syl
tabitha: tabby
terence: terry
teresa: terry tess tessa theresa
thaddeus: thad
theodore: ted teddy theo
theresa: terry tess tessa teresa
thomas: tom tommy tomas
timothy: tim timmy
tobias: toby
valerie: val
vanessa: nessa
veronica: ronnie
victor: vic
victoria: vicky vicki tori
vincent: vince vinny
virginia: ginny
walter: walt wally
wilfred: wilf fred
wilhelmina: mina minnie
william: bill will billy willy willie liam wm
winifred: winnie fred
winston: win
zachary: zach zack zac
alessandro: sandro ale
aleksandr: sasha sanya shura
aleksandra: sasha shura
alejandro: alex ale jandro
alexandra: alex sandra sascha
aleksander: olek alek
aleksey: alyosha lyosha alexei
anastasiya: nastya anastasia
andreas: andi andy
anna: ania anya ana anika annika
anneliese: anne liese
antoine: toine
antonio: toni tonio tono
barbara: basia barbel
bernhard: bernd berni
bernd: bernhard
carlos: carlitos
christian: chris
christine: chris tine christa
concepcion: concha conchita
czeslaw: czesiek
dmitriy: dima mitya dmitri dmitry
dolores: lola
dominik: dom
eduardo: edu lalo
ekaterina: katya katia
elisabeth: lisa elli lisbeth betti elsa sissi
elzbieta: ela
emmanuel: manu
enrique: quique kike
ewa: ewka
federico: fede
fernando: nando
francesco: franco cesco checco
francesca: franca cesca
francisco: paco pancho kiko curro
francois: fanfan
frederic: fred
friedrich: fritz fred
gabriel: gabi gabo
georg: jorg schorsch
gerhard: gerd
gertrud: trude gerti
giovanni: gianni vanni nanni
giuseppe: beppe peppe pino
grzegorz: grzesiek
gustav: gusti
guillermo: memo guille
hannelore: hanne lore
hans: johann hansi johannes
heinrich: heinz heiner
hendrik: henk rik
ignacio: nacho
irina: ira
isabel: isa chabela
ivan: vanya
jakub: kuba
jean: jeannot
jesus: chucho chuy
joachim: jochen achim
johann: hans hannes
johanna: hanna
johannes: hans hannes jan
jose: pepe chepe
josef: sepp jupp josefa
joseph: jo
juan: juanito
karl: kalle carl
katarzyna: kasia
katharina: kathi kati katja kathrin
kristina: tina kicki
konstantin: kostya
krzysztof: krzysiek
lars: lasse
leszek: lech
luis: lucho luisito
lukasz: luka
magdalena: magda lena
malgorzata: gosia malgosia
manuel: manolo manu
margarete: grete gretel gretchen
margareta: greta maggan
maria: mia mary marie mariya masha marya
mariya: masha maria
matthias: matze
maximilian: max maxi
mercedes: merche
michael: micha mischa
michal: misiek
mihail: misha
mikhail: misha
monika: moni
nataliya: natasha natalya natalia natalja
nikolay: kolya nikolai
nikolaus: klaus niko
olga: olya
pavel: pasha
pawel: pawelek
piotr: piotrek
pyotr: petya petr piotr
rafael: rafa
ramon: moncho
roberto: beto berto
rocio: chio
rosario: charo
salvatore: toto turi
santiago: santi
sebastian: basti
sergey: seryozha sergei serge
stanislaw: staszek stasiek
stefan: steffen stephan
stephan: stefan steffen
susanne: susi sanne
svetlana: sveta
tatyana: tanya tatiana tania
thomas: tomas
tomasz: tomek
ulrich: uli ulli
ursula: uschi ulla
vincenzo: enzo
vladimir: vova volodya
walther: walter
wilhelm: willi willy wim
willem: wim
wojciech: wojtek
wolfgang: wolf wolle
yekaterina: katya ekaterina
yevgeniy: zhenya evgeniy evgeny eugene
evgeniy: zhenya evgeny yevgeny
yuliya: yulia julia
yuriy: yura yuri
zofia: zosia
"""


def _short_forms() -> Mapping[str, frozenset[str]]:
    """Turn the table around: from a form to every formal name that it may stand for."""
    found: dict[str, set[str]] = {}
    for line in _FORMS.strip().splitlines():
        formal, _, shorts = line.partition(":")
        for short in shorts.split():
            found.setdefault(short, set()).add(formal)
    return MappingProxyType({short: frozenset(formals) for short, formals in found.items()})


NICKNAMES: Mapping[str, frozenset[str]] = _short_forms()
"""From a normalised given name to the formal names it may stand for; names used as they are have no entry."""
