"""Words that product names are made of, and how they go together.

A line is one sort of garment: its styles and materials are only such as fit every garment of
the line, so any combination may stand on a label. Brands are invented.
"""

from typing import NamedTuple

MEN, WOMEN = "Men", "Women"

_COLOURS = """Black|Navy|Charcoal|Ivory|Olive|Burgundy|Sand|Slate Blue|Forest Green|Rust|White
|Mocha|Heather Grey|Teal"""
_SUITING = "Black|Navy|Charcoal|Mid Grey|Olive|Burgundy|Chocolate|Camel"
_DENIM = "Indigo|Washed Black|Stone Blue|Mid Blue|Ecru"
_LEATHER = "Black|Tan|Cognac|Dark Brown|Oxblood"
_METAL = "Gold|Silver|Gunmetal|Tortoise"

_BRANDS = {
    "casual": """Ashquill|Brindlemoor|Calderwisp|Dunmarrow|Elmsparrow|Fennimore Tarn|Gladestitch
        |Hollowmere|Ivenna Roe|Jorvanne|Kestrelby|Lindenquay|Marrowby & Daughters|Nettlefjord
        |Oakenshire Row|Pellimore|Quenby Vale|Rookwillow|Saltmarden|Thistlecombe|Umberlane
        |Vossmarine|Wrenhollow|Yarrowgate|Zellandra""",
    "sport": "Veltrixa|Pacelume|Kinetarra|Strivenor|Torqova|Aerolund|Zephyrak|Saltmarden",
    "soft": "Bellavoire|Lunelise|Soliette|Coralisse|Velmirra|Gladestitch|Wrenhollow",
    "basics": """Dunmarrow|Kestrelby|Oakenshire Row|Gladestitch|Wrenhollow|Brevenhall|Ternwick
        |Umberlane""",
    "tailored": """Harrowgrave & Lyle|Montclavier|Aldersthorne|Castelroux|Draymoor Sons
        |Maison Orvelle|Atelier Vasquenne""",
    "leather": "Bramblewick|Strapmoor|Tarnhide|Dunmarrow|Pellimore|Maison Orvelle",
}


def _list(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.replace("\n", "").split("|"))


class Line(NamedTuple):
    """One sort of garment: `price` is its usual retail price, `weight` its share of the range."""

    category: str
    department: str
    price: float
    weight: float
    brands: tuple[str, ...]
    styles: tuple[str, ...]
    materials: tuple[str, ...]
    garments: tuple[str, ...]
    colours: tuple[str, ...]

    def name(self, brand: str, style: str, material: str, garment: str, colour: str,
             pattern: int) -> str:
        """A product name; `pattern` (0 to 3) chooses which of the words it shows."""
        owner = f"{self.department}'s"
        parts = (
            (brand, owner, style, material, garment),
            (brand, style, material, garment),
            (brand, style, garment, f"in {colour}"),
            (brand, owner, material, garment, f"in {colour}"),
        )[pattern]
        return " ".join(part for part in parts if part)


def _line(category: str, department: str, price: float, weight: float, brands: str,
          styles: str, materials: str, garments: str, colours: str = _COLOURS) -> Line:
    return Line(category, department, price, weight, _list(_BRANDS[brands]), _list(styles),
                _list(materials), _list(garments), _list(colours))


LINES: tuple[Line, ...] = (
    # Men
    _line("Jeans", MEN, 72, 7, "casual",
          "Slim-Fit|Straight-Leg|Relaxed-Fit|Tapered|Boot-Cut|Low-Rise|Athletic-Fit|Loose-Fit",
          "Stretch|Selvedge|Raw|Organic", "Denim Jeans|Five-Pocket Jeans|Jeans", _DENIM),
    _line("Tops & Tees", MEN, 24, 5, "casual",
          "Classic|Relaxed|Slim-Fit|Garment-Dyed|Striped|Heathered|Boxy|Essential",
          "Cotton|Pima Cotton|Slub Cotton|Organic Cotton|Cotton-Linen",
          "Crew T-Shirt|V-Neck T-Shirt|Pocket T-Shirt|Henley|Long-Sleeve T-Shirt"),
    _line("Tops & Tees", MEN, 46, 4, "casual",
          "Checked|Striped|Plaid|Slim-Fit|Button-Down|Classic|Regular-Fit|Relaxed",
          "Oxford|Poplin|Linen|Chambray|Cotton Twill|Brushed Cotton",
          "Shirt|Casual Shirt|Long-Sleeve Shirt|Band-Collar Shirt"),
    _line("Tops & Tees", MEN, 38, 2, "sport", "Tipped|Classic|Slim-Fit|Colour-Block|Striped",
          "Piqué|Cotton|Performance|Mercerised Cotton", "Polo Shirt|Long-Sleeve Polo Shirt"),
    _line("Sweaters", MEN, 68, 5, "casual",
          "Cable-Knit|Ribbed|Chunky|Fine-Gauge|Fair Isle|Marled|Classic|Waffle-Stitch",
          "Merino Wool|Lambswool|Cotton|Cashmere-Blend|Alpaca-Blend|Wool",
          "Crewneck Sweater|V-Neck Sweater|Cardigan|Quarter-Zip Sweater|Roll-Neck Sweater"),
    _line("Fashion Hoodies & Sweatshirts", MEN, 52, 5, "casual",
          "Heavyweight|Relaxed|Colour-Block|Garment-Dyed|Embroidered|Classic|Boxy",
          "Fleece|French Terry|Organic Cotton|Brushed Cotton|Loopback",
          "Pullover Hoodie|Zip Hoodie|Crewneck Sweatshirt|Hooded Sweatshirt"),
    _line("Outerwear & Coats", MEN, 145, 3, "casual",
          "Quilted|Insulated|Hooded|Lightweight|Utility",
          "Ripstop|Waxed Cotton|Nylon|Recycled Polyester|Down-Filled",
          "Parka|Bomber Jacket|Field Jacket|Jacket"),
    _line("Outerwear & Coats", MEN, 240, 3, "tailored",
          "Double-Breasted|Single-Breasted|Tailored|Herringbone|Classic",
          "Wool|Cashmere-Blend|Wool-Blend|Camel Hair|Melton Wool",
          "Overcoat|Topcoat|Peacoat|Car Coat", _SUITING),
    _line("Active", MEN, 42, 5, "sport",
          "Lightweight|Vented|Quick-Dry|Reflective|Slim-Fit",
          "Mesh|Performance|Stretch-Woven|Recycled Polyester|Tech-Knit",
          "Training Shorts|Running Tee|Track Pants|Training Tank|Joggers|Half-Zip Top"),
    _line("Shorts", MEN, 40, 4, "casual",
          "Flat-Front|Pleated|Slim-Fit|Relaxed|Garment-Dyed|Drawstring|Classic",
          "Chino|Linen|Seersucker|Cotton Twill|Cotton-Linen|Corduroy",
          "Shorts|7-Inch Shorts|9-Inch Shorts|Bermuda Shorts"),
    _line("Shorts", MEN, 44, 2, "casual", "Relaxed|Utility|Belted|Loose-Fit",
          "Ripstop|Canvas|Cotton Twill", "Cargo Shorts|Work Shorts"),
    _line("Swim", MEN, 38, 4, "sport",
          "Striped|Tropical-Print|Solid|Quick-Dry|Colour-Block|Retro|Mid-Length",
          "Nylon|Recycled Polyester|Stretch|Microfibre", "Swim Trunks|Board Shorts|Swim Shorts"),
    _line("Pants", MEN, 62, 5, "casual",
          "Slim-Fit|Straight-Leg|Tapered|Flat-Front|Relaxed|Pleated",
          "Stretch Cotton|Cotton Twill|Corduroy|Linen|Wool-Blend",
          "Chinos|Trousers|Drawstring Pants|Casual Pants"),
    _line("Suits & Sport Coats", MEN, 330, 2, "tailored",
          "Two-Button|Slim-Fit|Modern-Fit|Pinstripe|Windowpane",
          "Wool|Merino Wool|Wool-Silk|Linen", "Two-Piece Suit|Three-Piece Suit|Suit",
          _SUITING),
    _line("Suits & Sport Coats", MEN, 190, 3, "tailored",
          "Single-Breasted|Unstructured|Herringbone|Checked|Slim-Fit|Patch-Pocket",
          "Wool|Linen|Cotton|Tweed|Wool-Silk", "Sport Coat|Blazer|Suit Jacket", _SUITING),
    _line("Socks", MEN, 13, 4, "casual",
          "Striped|Ribbed|Cushioned|Argyle|Everyday|Dotted|Seamless-Toe",
          "Cotton|Merino Wool|Bamboo|Combed Cotton|Wool-Blend",
          "Crew Socks|Dress Socks|Ankle Socks|Boot Socks|Crew Socks (3-Pack)"),
    _line("Underwear", MEN, 22, 5, "basics",
          "Everyday|Low-Rise|Tagless|Seamless|Contour-Pouch|Long-Leg|Classic",
          "Cotton|Modal|Stretch Cotton|Microfibre|Bamboo",
          "Boxer Briefs|Trunks|Briefs|Boxer Briefs (3-Pack)|Trunks (2-Pack)"),
    _line("Sleep & Lounge", MEN, 44, 4, "basics",
          "Plaid|Striped|Classic|Relaxed|Piped|Solid",
          "Flannel|Cotton|Modal|Jersey|Brushed Cotton",
          "Pyjama Set|Pyjama Pants|Lounge Pants|Nightshirt"),
    _line("Sleep & Lounge", MEN, 70, 1.5, "basics", "Shawl-Collar|Hooded|Belted|Full-Length",
          "Terry|Waffle Cotton|Fleece|Velour", "Bathrobe|Robe"),
    _line("Accessories", MEN, 42, 2.5, "leather",
          "Stitched|Slim|Classic|Embossed|Hand-Finished",
          "Leather|Full-Grain Leather|Suede|Saddle Leather", "Belt|Dress Belt|Card Holder",
          _LEATHER),
    _line("Accessories", MEN, 46, 2, "tailored", "Striped|Dotted|Paisley|Micro-Check|Solid",
          "Silk|Silk-Linen|Woven Silk", "Tie|Bow Tie|Pocket Square|Slim Tie"),
    _line("Accessories", MEN, 32, 2, "casual", "Ribbed|Cable-Knit|Classic|Fisherman|Marled",
          "Merino Wool|Lambswool|Wool-Blend|Cashmere-Blend", "Beanie|Scarf|Gloves|Watch Cap"),
    _line("Accessories", MEN, 58, 1, "leather",
          "Polarised|Square|Rounded|Aviator|Keyhole-Bridge", "Acetate|Metal-Frame",
          "Sunglasses", _METAL),
    # Women
    _line("Intimates", WOMEN, 38, 5, "soft",
          "Seamless|Wirefree|Lightly Lined|Full-Coverage|Convertible|Plunge|Everyday",
          "Lace|Microfibre|Modal|Satin|Cotton", "Bra|T-Shirt Bra|Balconette Bra|Bralette"),
    _line("Intimates", WOMEN, 17, 4, "soft",
          "Seamless|High-Waist|Low-Rise|Everyday|Scalloped|No-Show",
          "Lace|Cotton|Modal|Microfibre|Mesh",
          "Briefs|Hipsters|Thong|Boyshorts|Briefs (3-Pack)"),
    _line("Intimates", WOMEN, 46, 2, "soft", "Smoothing|V-Neck|Adjustable|Lace-Trim",
          "Satin|Microfibre|Silk|Stretch", "Camisole|Slip|Bodysuit"),
    _line("Jeans", WOMEN, 74, 7, "casual",
          "High-Rise|Skinny|Wide-Leg|Boyfriend|Cropped|Boot-Cut|Straight-Leg|Flared",
          "Stretch|Organic|Super-Soft|Rigid", "Denim Jeans|Jeans|Five-Pocket Jeans", _DENIM),
    _line("Tops & Tees", WOMEN, 26, 5, "casual",
          "Relaxed|Fitted|Cropped|Striped|Draped|Ruched|Essential",
          "Cotton|Modal|Viscose|Organic Cotton|Slub Jersey",
          "Scoop-Neck Tee|V-Neck Tee|Tank Top|Tunic|Long-Sleeve Top|Boat-Neck Top"),
    _line("Tops & Tees", WOMEN, 52, 4, "casual",
          "Ruffled|Pleated|Floral|Polka-Dot|Tie-Neck|Puff-Sleeve|Embroidered",
          "Silk|Chiffon|Satin|Cotton|Crêpe|Linen", "Blouse|Wrap Blouse|Popover Blouse|Peplum Top"),
    _line("Sweaters", WOMEN, 64, 5, "casual",
          "Cable-Knit|Ribbed|Chunky|Oversized|Fine-Gauge|Cropped|Pointelle|Marled",
          "Merino Wool|Cashmere|Mohair-Blend|Cotton|Lambswool|Alpaca-Blend",
          "Crewneck Sweater|V-Neck Sweater|Cardigan|Turtleneck|Wrap Cardigan|Sweater Vest"),
    _line("Fashion Hoodies & Sweatshirts", WOMEN, 50, 4, "casual",
          "Oversized|Cropped|Colour-Block|Embroidered|Relaxed|Classic",
          "Fleece|French Terry|Organic Cotton|Brushed Cotton|Velour",
          "Pullover Hoodie|Zip Hoodie|Crewneck Sweatshirt|Half-Zip Sweatshirt"),
    _line("Outerwear & Coats", WOMEN, 140, 3, "casual",
          "Quilted|Hooded|Cropped|Lightweight|Belted",
          "Down-Filled|Nylon|Waxed Cotton|Recycled Polyester",
          "Parka|Puffer Jacket|Jacket|Anorak"),
    _line("Outerwear & Coats", WOMEN, 230, 3, "tailored",
          "Double-Breasted|Belted|Longline|Collarless|A-Line",
          "Wool|Cashmere-Blend|Wool-Blend|Bouclé|Alpaca-Blend", "Coat|Wrap Coat|Peacoat|Cape Coat",
          _SUITING),
    _line("Blazers & Jackets", WOMEN, 96, 4, "tailored",
          "Fitted|Longline|Cropped|Double-Breasted|Tailored|One-Button",
          "Linen|Tweed|Ponte|Crêpe|Velvet|Stretch Wool", "Blazer|Jacket|Tuxedo Jacket"),
    _line("Active", WOMEN, 44, 5, "sport",
          "Seamless|High-Waist|Lightweight|Quick-Dry|Reflective",
          "Performance|Tech-Knit|Recycled Polyester|Stretch-Woven",
          "Running Tights|Training Shorts|Yoga Pants|Track Pants|Cycling Shorts"),
    _line("Active", WOMEN, 40, 3, "sport",
          "Racerback|Strappy|Medium-Support|High-Support|Longline",
          "Seamless|Performance|Mesh|Tech-Knit", "Sports Bra|Training Tank|Yoga Top"),
    _line("Shorts", WOMEN, 38, 4, "casual",
          "High-Waist|Pleated|Belted|Paperbag-Waist|Tailored|Cuffed",
          "Linen|Cotton Twill|Chino|Seersucker|Denim", "Shorts|5-Inch Shorts|Bermuda Shorts"),
    _line("Swim", WOMEN, 58, 4, "sport",
          "Halter|Ruched|Tie-Side|Striped|Floral|Scoop-Back|Colour-Block",
          "Ribbed|Recycled Nylon|Stretch|Textured",
          "One-Piece Swimsuit|Bikini Set|Tankini Set|High-Waist Bikini Set"),
    _line("Dresses", WOMEN, 84, 5, "casual",
          "Floral|Belted|Tiered|Puff-Sleeve|Polka-Dot|Smocked|Striped|Pleated",
          "Cotton|Linen|Viscose|Jersey|Chambray|Poplin",
          "Midi Dress|Maxi Dress|Wrap Dress|Shirt Dress|Sundress"),
    _line("Dresses", WOMEN, 165, 3, "tailored",
          "Off-Shoulder|Draped|Beaded|One-Shoulder|Pleated|Bias-Cut",
          "Satin|Silk|Velvet|Chiffon|Crêpe", "Cocktail Dress|Evening Gown|Sheath Dress|Slip Dress"),
    _line("Skirts", WOMEN, 54, 4, "casual",
          "Pleated|A-Line|Tiered|High-Waist|Wrap|Button-Front|Floral",
          "Linen|Corduroy|Denim|Cotton|Satin|Wool-Blend", "Midi Skirt|Mini Skirt|Maxi Skirt|Skirt"),
    _line("Pants & Capris", WOMEN, 60, 4, "casual",
          "Wide-Leg|Straight-Leg|Tapered|High-Rise|Pleated|Cropped",
          "Linen|Stretch Cotton|Ponte|Crêpe|Corduroy", "Trousers|Pants|Ankle Pants|Pull-On Pants"),
    _line("Leggings", WOMEN, 30, 4, "sport",
          "High-Waist|Ribbed|Full-Length|Cropped|Seamless|Side-Pocket",
          "Cotton|Ponte|Fleece-Lined|Stretch Jersey|Modal", "Leggings|7/8 Leggings"),
    _line("Jumpsuits & Rompers", WOMEN, 82, 2, "casual",
          "Wide-Leg|Belted|Sleeveless|Utility|Halter|Button-Front",
          "Linen|Viscose|Cotton Twill|Crêpe|Denim", "Jumpsuit|Playsuit|Romper"),
    _line("Suits", WOMEN, 210, 2, "tailored", "Tailored|Slim-Fit|Pinstripe|One-Button|Relaxed",
          "Wool|Crêpe|Linen|Stretch Wool", "Pantsuit|Skirt Suit|Two-Piece Suit", _SUITING),
    _line("Clothing Sets", WOMEN, 68, 1.5, "casual", "Relaxed|Ribbed|Matching|Cropped|Striped",
          "Jersey|Cotton|Knit|Modal", "Top & Pants Set|Top & Skirt Set|Lounge Set"),
    _line("Plus", WOMEN, 48, 3, "casual",
          "Relaxed|Draped|Floral|Empire-Waist|Striped|Belted",
          "Cotton|Viscose|Jersey|Linen|Modal", "Plus-Size Tunic|Plus-Size Blouse|Plus-Size Dress"),
    _line("Maternity", WOMEN, 50, 3, "soft",
          "Everyday|Striped|Soft|Heathered|Comfort-Fit",
          "Cotton|Modal|Stretch Jersey|Organic Cotton",
          "Maternity Leggings|Maternity Dress|Maternity Top|Maternity T-Shirt"),
    _line("Socks & Hosiery", WOMEN, 14, 3, "soft",
          "Control-Top|Patterned|Seamless|Matte|Run-Resistant",
          "20 Denier|40 Denier|Microfibre|Silky", "Tights|Tights (2-Pack)|Pantyhose"),
    _line("Socks & Hosiery", WOMEN, 12, 2, "casual",
          "Striped|Ribbed|Scalloped|Cushioned|Dotted|Everyday",
          "Cotton|Merino Wool|Bamboo|Cashmere-Blend",
          "Ankle Socks|Crew Socks|Knee Socks|Crew Socks (3-Pack)"),
    _line("Sleep & Lounge", WOMEN, 48, 4, "soft",
          "Piped|Floral|Lace-Trim|Striped|Relaxed|Dotted",
          "Satin|Cotton|Modal|Flannel|Silk|Jersey",
          "Pyjama Set|Nightgown|Sleep Shirt|Short Pyjama Set|Lounge Pants"),
    _line("Sleep & Lounge", WOMEN, 66, 1.5, "soft", "Belted|Hooded|Kimono-Style|Shawl-Collar",
          "Terry|Satin|Waffle Cotton|Fleece", "Robe|Short Robe"),
    _line("Accessories", WOMEN, 88, 2.5, "leather",
          "Quilted|Structured|Slouchy|Woven|Pebbled|Mini",
          "Leather|Suede|Vegan Leather", "Tote Bag|Crossbody Bag|Clutch|Shoulder Bag", _LEATHER),
    _line("Accessories", WOMEN, 34, 2, "casual", "Fringed|Printed|Lightweight|Oversized|Striped",
          "Silk|Cashmere|Wool|Cotton|Modal", "Scarf|Wrap|Square Scarf"),
    _line("Accessories", WOMEN, 28, 2, "casual", "Ribbed|Cable-Knit|Slouchy|Pompom|Chunky",
          "Merino Wool|Cashmere-Blend|Wool-Blend|Mohair-Blend", "Beanie|Knit Hat|Mittens"),
    _line("Accessories", WOMEN, 56, 1, "leather", "Cat-Eye|Oversized|Rounded|Polarised|Square",
          "Acetate|Metal-Frame", "Sunglasses", _METAL),
)
"""All lines of the shop."""
