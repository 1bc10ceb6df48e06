"""Hold the names that simulated customers are made of: common words, put together by chance, meaning nobody.

The lists are ordered from common to rare, so that a skewed draw gives a few frequent names and many rare ones.
"""

from __future__ import annotations

__all__ = ["CITIES", "EMAIL_DOMAINS", "EMPLOYERS", "FEMALE", "MALE", "NICKNAMES", "STREETS", "STREET_KINDS", "SURNAMES"]


def _words(text: str) -> tuple[str, ...]:
    """Read names that stand apart by spaces."""
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    """Read names that stand apart by bars or lines, because they hold spaces."""
    return tuple(text.strip().replace("\n", "|").split("|"))


FEMALE: tuple[str, ...] = _words(
    """
Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Lisa Nancy Betty Sandra Margaret Ashley Kimberly
Emily Donna Michelle Carol Amanda Melissa Deborah Stephanie Rebecca Sharon Laura Cynthia Dorothy Amy Kathleen Angela Shirley
Emma Brenda Pamela Nicole Anna Samantha Katherine Christine Helen Debra Rachel Carolyn Janet Maria Olivia Heather Diane Julie
Joyce Victoria Ruth Virginia Lauren Kelly Christina Joan Evelyn Judith Andrea Hannah Megan Cheryl Jacqueline Martha Madison
Teresa Gloria Sara Janice Ann Kathryn Abigail Sophia Frances Jean Alice Judy Isabella Julia Grace Amber Denise Danielle
Marilyn Beverly Charlotte Natalie Theresa Diana Brittany Doris Kayla Alexis Lori Marie Carmen Aisha Rosa Ingrid Yolanda Mei
Fatima Priya Leila Naomi Esther Miriam Bridget Colleen Maureen Fiona Siobhan Astrid Greta Helga Ilse Katarina Ludmila Svetlana
Oksana Irina Tatiana Nadia Zofia Agnieszka Beata Dorota Halina Jadwiga Valentina Bianca Chiara Francesca Giulia Paola Lucia
Ines Pilar Consuelo Dolores Mercedes Guadalupe Ximena Camila Renata Beatriz Luciana Thais Larissa Amelie Camille Claire Elodie
Margot Noelle Simone Sylvie Yvette Anneke Femke Marijke Saskia Freja Signe Solveig Linnea Maja Aino Eila Kaisa Akiko Haruka
Keiko Michiko Naoko Sakura Yuki Jia Lan Ling Xia Ying Hana Minji Soyeon Anh Linh Thuy Amara Chiamaka Folake Ngozi Zainab
Makena Wanjiru Ayanda Thandiwe Lerato Shira Tamar Yael Rivka Dalia Samira Yasmin Noor Zahra Parisa Shirin Anjali Deepika
Kavita Lakshmi Meera Sunita Usha Odette Philippa Rosalind Winifred Cordelia Imogen Harriet Beatrice Cecily Edith Florence
"""
)

MALE: tuple[str, ...] = _words(
    """
James Robert John Michael David William Richard Joseph Thomas Christopher Charles Daniel Matthew Anthony Mark Donald Steven
Andrew Paul Joshua Kenneth Kevin Brian Timothy Ronald George Jason Edward Jeffrey Ryan Jacob Nicholas Gary Eric Jonathan
Stephen Larry Justin Scott Brandon Benjamin Samuel Gregory Alexander Patrick Frank Raymond Jack Dennis Jerry Tyler Aaron Jose
Adam Nathan Henry Zachary Douglas Peter Kyle Noah Ethan Jeremy Christian Walter Keith Austin Roger Terry Sean Gerald Carl
Dylan Harold Jordan Jesse Bryan Lawrence Arthur Gabriel Bruce Logan Billy Joe Alan Juan Elijah Willie Albert Wayne Randy
Vincent Mason Roy Ralph Bobby Russell Bradley Philip Eugene Hassan Omar Carlos Luis Diego Mateo Rafael Hector Ricardo Sergio
Emilio Ignacio Joaquin Marco Matteo Luca Giovanni Paolo Stefano Enzo Antoine Bastien Etienne Guillaume Julien Laurent Mathieu
Olivier Pascal Thierry Bram Daan Joost Maarten Pieter Ruben Sander Anders Bjorn Erik Gunnar Henrik Lars Magnus Nils Soren Aapo
Eino Juhani Mikko Veikko Andrzej Jacek Krzysztof Marek Pawel Tomasz Wojciech Alexei Boris Dmitri Igor Mikhail Nikolai Oleg
Sergei Vladimir Bogdan Taras Akira Daisuke Hiroshi Kenji Makoto Takashi Yuto Bo Feng Jian Jun Lei Wei Jisung Minho Sungmin Duc
Hung Minh Quang Chidi Emeka Ifeanyi Kwame Kofi Tunde Jabari Sipho Themba Avi Eitan Noam Uri Yosef Ali Faisal Ibrahim Khalid
Mustafa Tariq Yusuf Arash Cyrus Dariush Aditya Arjun Deepak Karthik Manish Rahul Sanjay Vikram Ambrose Barnaby Cedric Clement
Crispin Desmond Edmund Fergus Godfrey Horatio Humphrey Jasper Leopold Lionel Montgomery Neville Oswald Percival Quentin
Reginald Rupert Sebastian Silas Thaddeus Tobias Ulysses Wilfred Winston Xavier Zebulon Ansel Caspian Dashiell
"""
)

NICKNAMES: dict[str, tuple[str, ...]] = {
    "Abigail": ("Abby", "Gail"),
    "Albert": ("Al", "Bert"),
    "Alexander": ("Alex", "Sandy"),
    "Amanda": ("Mandy",),
    "Andrea": ("Andi",),
    "Andrew": ("Andy", "Drew"),
    "Angela": ("Angie",),
    "Anthony": ("Tony",),
    "Arthur": ("Art",),
    "Barbara": ("Barb",),
    "Benjamin": ("Ben",),
    "Bradley": ("Brad",),
    "Carolyn": ("Carol",),
    "Charles": ("Chuck", "Charlie"),
    "Christina": ("Tina", "Chris"),
    "Christine": ("Chris",),
    "Christopher": ("Chris",),
    "Cynthia": ("Cindy",),
    "Daniel": ("Dan", "Danny"),
    "David": ("Dave",),
    "Deborah": ("Debbie", "Deb"),
    "Debra": ("Debbie",),
    "Dennis": ("Denny",),
    "Donald": ("Don",),
    "Dorothy": ("Dot", "Dottie"),
    "Douglas": ("Doug",),
    "Edward": ("Ed", "Ted"),
    "Elizabeth": ("Liz", "Beth", "Betsy"),
    "Eugene": ("Gene",),
    "Frances": ("Fran",),
    "Gabriel": ("Gabe",),
    "Gerald": ("Jerry",),
    "Gregory": ("Greg",),
    "Harold": ("Hal", "Harry"),
    "Henry": ("Hank",),
    "Jacob": ("Jake",),
    "Jacqueline": ("Jackie",),
    "James": ("Jim", "Jimmy"),
    "Jeffrey": ("Jeff",),
    "Jennifer": ("Jen", "Jenny"),
    "Jessica": ("Jess",),
    "John": ("Jack", "Johnny"),
    "Jonathan": ("Jon",),
    "Joseph": ("Joe",),
    "Joshua": ("Josh",),
    "Judith": ("Judy",),
    "Katherine": ("Kate", "Kathy"),
    "Kathleen": ("Kathy",),
    "Kathryn": ("Kate", "Kathy"),
    "Kenneth": ("Ken",),
    "Kimberly": ("Kim",),
    "Lawrence": ("Larry",),
    "Margaret": ("Peggy", "Maggie"),
    "Matthew": ("Matt",),
    "Melissa": ("Missy",),
    "Michael": ("Mike",),
    "Michelle": ("Shelly",),
    "Nancy": ("Nan",),
    "Natalie": ("Nat",),
    "Nathan": ("Nate",),
    "Nicholas": ("Nick",),
    "Nicole": ("Nikki",),
    "Pamela": ("Pam",),
    "Patricia": ("Pat", "Trish"),
    "Patrick": ("Pat",),
    "Peter": ("Pete",),
    "Philip": ("Phil",),
    "Raymond": ("Ray",),
    "Rebecca": ("Becky",),
    "Richard": ("Rick", "Dick"),
    "Robert": ("Bob", "Rob"),
    "Ronald": ("Ron",),
    "Russell": ("Russ",),
    "Samantha": ("Sam",),
    "Samuel": ("Sam",),
    "Sandra": ("Sandy",),
    "Stephanie": ("Steph",),
    "Stephen": ("Steve",),
    "Steven": ("Steve",),
    "Susan": ("Sue", "Susie"),
    "Teresa": ("Terri",),
    "Theresa": ("Terri",),
    "Thomas": ("Tom",),
    "Timothy": ("Tim",),
    "Victoria": ("Vicky",),
    "Vincent": ("Vince",),
    "Virginia": ("Ginny",),
    "Walter": ("Walt",),
    "William": ("Bill", "Will"),
    "Zachary": ("Zach",),
}

SURNAMES: tuple[str, ...] = _words(
    """
Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson Thomas
Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King
Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Gomez Phillips
Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers Gutierrez Ortiz Morgan Cooper
Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward Richardson Watson Brooks Chavez Wood James Bennett Gray Mendoza Ruiz
Hughes Price Alvarez Castillo Sanders Patel Myers Long Ross Foster Jimenez Powell Jenkins Perry Russell Sullivan Bell Coleman
Butler Henderson Barnes Fisher Vasquez Simmons Romero Jordan Patterson Alexander Hamilton Graham Reynolds Griffin Wallace
Moreno West Cole Hayes Bryant Herrera Gibson Ellis Tran Medina Aguilar Stevens Murray Ford Castro Marshall Owens Harrison
Fernandez McDonald Woods Washington Kennedy Wells Vargas Henry Chen Freeman Webb Tucker Guzman Burns Crawford Olson Simpson
Porter Hunter Gordon Mendez Silva Shaw Snyder Mason Dixon Munoz Hunt Hicks Holmes Palmer Wagner Black Robertson Boyd Rose
Stone Salazar Fox Warren Mills Meyer Rice Schmidt Garza Daniels Ferguson Nichols Stephens Soto Weaver Ryan Gardner Payne Grant
Dunn Kelley Spencer Hawkins Arnold Pierce Hansen Peters Santos Hart Bradley Knight Elliott Cunningham Duncan Armstrong Hudson
Carroll Lane Riley Andrews Alvarado Ray Delgado Berry Perkins Hoffman Johnston Matthews Pena Richards Contreras Willis
Carpenter Lawrence Sandoval Guerrero George Chapman Rios Estrada Ortega Watkins Greene Nunez Wheeler Valdez Harper Burke
Larson Santiago Maldonado Morrison Franklin Carlson Austin Dominguez Carr Lawson Jacobs Obrien Lynch Singh Vega Bishop
Montgomery Oliver Jensen Harvey Williamson Gilbert Dean Sims Espinoza Howell Li Wong Reid Hanson Le McCoy Garrett Burton
Fuller Wang Weber Welch Rojas Lucas Marquez Fields Park Yang Little Banks Padilla Day Walsh Bowman Schultz Luna Fowler Mejia
Abernathy Achterberg Adeyemi Agarwal Ainsworth Akintola Albrecht Amundsen Antonelli Arbuckle Asquith Auerbach Babcock
Balakrishnan Bamford Banerjee Barkhurst Beauchamp Bergstrom Bielski Birdwhistle Blackwood Boateng Bogdanov Bonaventura
Boudreaux Brannigan Breckenridge Buchholz Cabrera Callaghan Cavanaugh Chakraborty Chaudhry Christensen Cisneros Cosgrove
Czarnecki Dalgaard Delacroix Dimitriou Dombrowski Drummond Eberhardt Echevarria Eriksen Fairweather Featherstone Fitzgerald
Fontaine Fujimoto Gallagher Gilchrist Goldschmidt Grabowski Gundersen Haddad Hallstrom Hashimoto Havilland Heidemann Hightower
Holloway Hrabowski Ibarra Ingersoll Iwasaki Jankowski Jaramillo Kamara Kaczmarek Karlsson Kaufmann Kilpatrick Kobayashi
Kowalczyk Kristiansen Lachapelle Langstrom Leclerc Lindqvist Lombardi Macintyre Malinowski Marchetti Mbeki Merriweather
Mikkelsen Mukherjee Nakamura Nazarian Nikolaidis Nordstrom Obafemi Okonkwo Oppenheim Ostrowski Papadakis Pemberton Petrosyan
Pettigrew Quackenbush Quigley Rasmussen Ravenscroft Rosenthal Rutherford Sadowski Satterfield Schaumburg Shevchenko Sorensen
Stanislaw Szymanski Takahashi Thistlewood Tjarksen Ueda Underhill Vandenberg Venkataraman Vinogradov Wadsworth Weatherby
Whitcombe Wojcik Xiong Yamaguchi Yarborough Zabriskie Zielinski Zimmermann
"""
)

STREETS: tuple[str, ...] = _phrases(
    """
Main|Oak|Maple|Cedar|Pine|Elm|Washington|Lake|Hill|Walnut|Park|Spring|North|Ridge|Church|Willow|Mill|Sunset|Railroad
Jackson|Cherry|West|South|Center|Highland|Johnson|Forest|River|Meadow|East|Chestnut|View|Birch|Lincoln|Franklin|Dogwood
Green|Hickory|Jefferson|Adams|Cottonwood|Laurel|Madison|Prospect|Spruce|Sycamore|Valley|Wilson|Woodland|Aspen|Beech
Bluebird|Bridge|Broad|Brook|Canyon|Cardinal|Cherokee|Clark|Clay|College|Country Club|Court|Creek|Cypress|Deer|Delaware
Division|Eagle|Edgewood|Elizabeth|Fairview|Fawn|Fox|Front|Garden|Grant|Grove|Hamilton|Harrison|Heather|Hemlock|Heritage
Hickory Hill|High|Holly|Hunter|Ivy|James|Juniper|King|Lakeview|Lee|Liberty|Locust|Magnolia|Mallard|Market|Meadowbrook
Michigan|Monroe|Mountain|Mulberry|Myrtle|Oakwood|Old Mill|Olive|Orchard|Overlook|Parkview|Peach|Pennsylvania|Pheasant
Pleasant|Polk|Poplar|Quail|Rainbow|Redwood|Ridgeway|River Bend|Robin|Rolling Hills|Rose|Rosewood|School|Shady|Sherwood
Shore|Skyline|Smith|Stone|Summit|Sunrise|Sunnyside|Surrey|Sycamore Grove|Taylor|Teal|Timber|Union|Valley View|Van Buren
Victoria|Village|Vine|Virginia|Wagon Wheel|Warren|Water|Westwood|White Oak|Wildwood|Williams|Willow Creek|Windsor
Winding|Wood|Wren|York|Abbey|Acorn|Alder|Amberly|Apple Blossom|Arbor|Ashford|Autumn|Azalea|Barton|Bayberry|Beacon
Bear Hollow|Belmont|Bluff|Boulder|Bramble|Briar|Brookside|Buckeye|Cambridge|Camellia|Candlewood|Canterbury|Carriage
Cascade|Castle|Catalpa|Chapel|Charleston|Clearwater|Clover|Coach|Colonial|Concord|Copper|Coral|Cove|Crescent|Crestview
Crystal|Dove|Dunes|Eastgate|Echo|Elderberry|Falcon|Fieldstone
"""
)

STREET_KINDS: tuple[tuple[str, str], ...] = (
    ("Street", "St"),
    ("Avenue", "Ave"),
    ("Road", "Rd"),
    ("Drive", "Dr"),
    ("Lane", "Ln"),
    ("Court", "Ct"),
    ("Boulevard", "Blvd"),
    ("Place", "Pl"),
)

CITIES: tuple[tuple[str, str, str, str], ...] = tuple(
    (city, region, postcode, area)
    for city, region, postcode, area in (
        line.rsplit(" ", 3)
        for line in """
New York NY 100 212
Los Angeles CA 900 213
Chicago IL 606 312
Houston TX 770 713
Phoenix AZ 850 602
Philadelphia PA 191 215
San Antonio TX 782 210
San Diego CA 921 619
Dallas TX 752 214
Austin TX 787 512
Jacksonville FL 322 904
Columbus OH 432 614
Charlotte NC 282 704
Indianapolis IN 462 317
Seattle WA 981 206
Denver CO 802 303
Boston MA 021 617
Nashville TN 372 615
Detroit MI 482 313
Portland OR 972 503
Memphis TN 381 901
Louisville KY 402 502
Baltimore MD 212 410
Milwaukee WI 532 414
Albuquerque NM 871 505
Tucson AZ 857 520
Fresno CA 937 559
Sacramento CA 958 916
Kansas City MO 641 816
Atlanta GA 303 404
Omaha NE 681 402
Raleigh NC 276 919
Miami FL 331 305
Oakland CA 946 510
Minneapolis MN 554 612
Tulsa OK 741 918
Tampa FL 336 813
New Orleans LA 701 504
Wichita KS 672 316
Cleveland OH 441 216
Bakersfield CA 933 661
Honolulu HI 968 808
Anchorage AK 995 907
Lexington KY 405 859
Cincinnati OH 452 513
Pittsburgh PA 152 412
Buffalo NY 142 716
Toledo OH 436 419
Lincoln NE 685 402
Madison WI 537 608
Reno NV 895 775
Baton Rouge LA 708 225
Richmond VA 232 804
Boise ID 837 208
Spokane WA 992 509
Des Moines IA 503 515
Salt Lake City UT 841 801
Providence RI 029 401
Chattanooga TN 374 423
Sioux Falls SD 571 605
Eugene OR 974 541
Springfield IL 627 217
Topeka KS 666 785
Hartford CT 061 860
Duluth MN 558 218
Burlington VT 054 802
Fargo ND 581 701
Billings MT 591 406
Cheyenne WY 820 307
Bangor ME 044 207
Manchester NH 031 603
Charleston SC 294 843
Savannah GA 314 912
Mobile AL 366 251
Jackson MS 392 601
Little Rock AR 722 501
Dover DE 199 302
Morgantown WV 265 304
Trenton NJ 086 609
Santa Fe NM 875 505
""".strip().splitlines()
    )
)
"""City, region, first three digits of its postcodes, telephone area code."""

EMAIL_DOMAINS: tuple[str, ...] = (
    "mail.example",
    "post.example",
    "inbox.example",
    "letters.example",
    "webmail.example",
    "fastpost.example",
    "homebox.example",
    "quickmail.example",
)

EMPLOYERS: tuple[str, ...] = _phrases(
    """
Bluewater Logistics|Northfield Schools|Harbor Medical Group|Summit Outfitters|Redwood Software|Lakeside Diner
Granite Insurance|Prairie Power|Union Freight|Silverline Dental|Oak Street Books|Cornerstone Builders|Valley Produce
City Transit|Beacon Law|Evergreen Nurseries|Pioneer Credit Union|Riverbend Brewing|Atlas Machining|Golden Spoon Bakery
Meridian Airlines|Stonebridge Hotel|Clearview Optics|Ironwood Gym|Copperfield Theatre|Foxglove Florist
Highland Veterinary|Juniper Labs|Keystone Plumbing|Lantern Media|Maplewood Care Home|Nimbus Telecom|Orchard Grocers
Pinnacle Realty|Quarry Concrete|Rosewood Furniture
"""
)
