//! Public mail providers, where anybody can get an address. Exact domains only.

/// Sorted, so that a look-up is a binary search.
#[rustfmt::skip]
const PROVIDERS: &[&str] = &[
    "012.net.il", "10minutemail.com", "10minutemail.net", "126.com", "139.com", "163.com",
    "189.cn", "1und1.de", "21cn.com", "abv.bg", "aim.com", "alice.it", "aliceadsl.fr",
    "aliyun.com", "ameritech.net", "anonaddy.com", "aol.co.uk", "aol.com", "aol.de", "aol.fr",
    "aon.at", "arcor.de", "arnet.com.ar", "atlas.cz", "att.net", "azet.sk", "bbox.fr", "bell.net",
    "bellsouth.net", "bigmir.net", "bigpond.com", "bigpond.net.au", "bk.ru", "bluewin.ch",
    "blueyonder.co.uk", "bol.com.br", "bredband.net", "btinternet.com", "btopenworld.com",
    "burnermail.io", "centrum.cz", "centrum.sk", "centurylink.net", "charter.net", "chello.at",
    "chello.nl", "citromail.hu", "ciudad.com.ar", "club-internet.fr", "cogeco.ca", "comcast.net",
    "comhem.se", "consultant.com", "cox.net", "crazymailing.com", "ctemplar.com", "daum.net",
    "dir.bg", "discard.email", "discardmail.com", "discardmail.de", "dispostable.com",
    "disroot.org", "docomo.ne.jp", "dodo.com.au", "dr.com", "duck.com", "earthlink.net",
    "einrot.com", "eircom.net", "elisanet.fi", "email.com", "email.cz", "email.de", "email.it",
    "emailondeck.com", "emirates.net.ae", "engineer.com", "europe.com", "excite.co.jp",
    "excite.com", "ezweb.ne.jp", "fakeinbox.com", "fakemail.net", "fastmail.com", "fastmail.fm",
    "fastmail.net", "fastwebnet.it", "fibertel.com.ar", "foxmail.com", "free.fr", "freemail.hu",
    "freenet.de", "frontier.com", "gazeta.pl", "getairmail.com", "getnada.com", "globo.com",
    "globomail.com", "gmail.com", "gmx.at", "gmx.ch", "gmx.co.uk", "gmx.com", "gmx.de", "gmx.es",
    "gmx.fr", "gmx.net", "gmx.us", "goo.jp", "googlemail.com", "grr.la", "guerrillamail.biz",
    "guerrillamail.com", "guerrillamail.de", "guerrillamail.net", "guerrillamail.org",
    "guerrillamailblock.com", "hanmail.net", "hetnet.nl", "hey.com", "hispeed.ch", "home.nl",
    "hotmail.at", "hotmail.be", "hotmail.ca", "hotmail.ch", "hotmail.cl", "hotmail.co.in",
    "hotmail.co.jp", "hotmail.co.nz", "hotmail.co.uk", "hotmail.com", "hotmail.com.ar",
    "hotmail.com.au", "hotmail.com.br", "hotmail.com.mx", "hotmail.com.tr", "hotmail.de",
    "hotmail.dk", "hotmail.es", "hotmail.fi", "hotmail.fr", "hotmail.gr", "hotmail.it",
    "hotmail.my", "hotmail.nl", "hotmail.no", "hotmail.pt", "hotmail.se", "hotmail.sg",
    "hush.com", "hushmail.com", "i.softbank.jp", "i.ua", "icloud.com", "ig.com.br",
    "iinet.net.au", "in.com", "iname.com", "inbox.com", "inbox.ru", "inboxkitten.com",
    "indamail.hu", "indiatimes.com", "interia.eu", "interia.pl", "internet.ru",
    "internode.on.net", "inwind.it", "iol.it", "jetable.org", "jubii.dk", "juno.com",
    "kabelmail.de", "kakao.com", "keemail.me", "kpnmail.nl", "laposte.net", "lenta.ru",
    "libero.it", "list.ru", "live.at", "live.be", "live.ca", "live.cl", "live.cn", "live.co.uk",
    "live.co.za", "live.com", "live.com.ar", "live.com.au", "live.com.mx", "live.com.my",
    "live.com.pt", "live.com.sg", "live.de", "live.dk", "live.fr", "live.ie", "live.in",
    "live.it", "live.jp", "live.nl", "live.no", "live.se", "luukku.com", "lycos.com", "mac.com",
    "magenta.de", "mail-temp.com", "mail.bg", "mail.com", "mail.de", "mail.dk", "mail.ru",
    "mail.tm", "mailbox.org", "mailcatch.com", "maildrop.cc", "mailfence.com", "mailinator.com",
    "mailnesia.com", "maktoob.com", "me.com", "meta.ua", "mindspring.com", "mintemail.com",
    "moakt.com", "mohmal.com", "mozmail.com", "msn.com", "mweb.co.za", "mynet.com", "myself.com",
    "mytemp.email", "myyahoo.com", "nada.email", "narod.ru", "nate.com", "naver.com",
    "netscape.net", "netvision.net.il", "netzero.net", "neuf.fr", "nifty.com", "ntlworld.com",
    "numericable.fr", "o2.pl", "onet.eu", "onet.pl", "online.de", "online.no", "ono.com", "op.pl",
    "optonline.net", "optusnet.com.au", "orange.fr", "outlook.at", "outlook.be", "outlook.cl",
    "outlook.co.uk", "outlook.com", "outlook.com.au", "outlook.com.br", "outlook.cz",
    "outlook.de", "outlook.dk", "outlook.es", "outlook.fr", "outlook.ie", "outlook.in",
    "outlook.it", "outlook.jp", "outlook.kr", "outlook.pt", "outlook.sa", "pacbell.net",
    "passport.com", "planet.nl", "plusnet.com", "pm.me", "poczta.fm", "poczta.onet.pl",
    "post.com", "post.cz", "post.sk", "poste.it", "posteo.de", "posteo.net",
    "privaterelay.appleid.com", "prodigy.net", "prodigy.net.mx", "proton.me", "protonmail.ch",
    "protonmail.com", "proximus.be", "q.com", "qq.com", "r7.com", "rambler.ru", "rediffmail.com",
    "relay.firefox.com", "riseup.net", "roadrunner.com", "rocketmail.com", "rogers.com", "rr.com",
    "runbox.com", "sapo.pt", "sbcglobal.net", "scarlet.be", "seznam.cz", "sfr.fr",
    "sharklasers.com", "shaw.ca", "sify.com", "simplelogin.com", "sina.cn", "sina.com",
    "skiff.com", "sky.com", "skynet.be", "slingshot.co.nz", "softbank.ne.jp", "sohu.com",
    "spam.la", "spam4.me", "spamgourmet.com", "speedy.com.ar", "spray.se", "startmail.com",
    "sunrise.ch", "suomi24.fi", "superonline.com", "sympatico.ca", "t-online.de", "talktalk.net",
    "tdcadsl.dk", "techie.com", "tele2.se", "telefonica.net", "telenet.be", "telia.com",
    "telkomsa.net", "telus.net", "temp-mail.io", "temp-mail.org", "tempinbox.com", "tempmail.com",
    "tempmail.net", "tempmailo.com", "tempr.email", "terra.com.br", "terra.es",
    "throwawaymail.com", "tim.it", "tin.it", "tiscali.co.uk", "tiscali.it", "tlen.pl", "tom.com",
    "tpg.com.au", "trashmail.com", "trashmail.de", "trashmail.net", "ttmail.com", "tut.by",
    "tuta.com", "tuta.io", "tutamail.com", "tutanota.com", "tutanota.de", "ukr.net", "uol.com.br",
    "upcmail.nl", "usa.com", "verizon.net", "videotron.ca", "vip.163.com", "vip.qq.com",
    "virgilio.it", "virgin.net", "virginmedia.com", "vodafone.de", "vodamail.co.za", "volny.cz",
    "vp.pl", "walla.co.il", "walla.com", "wanadoo.fr", "web.de", "webmail.co.za",
    "wegwerfemail.de", "westnet.com.au", "windowslive.com", "windstream.net", "wo.cn", "wp.pl",
    "writeme.com", "xs4all.nl", "xtra.co.nz", "ya.ru", "yahoo.at", "yahoo.be", "yahoo.ca",
    "yahoo.ch", "yahoo.cn", "yahoo.co.id", "yahoo.co.in", "yahoo.co.jp", "yahoo.co.kr",
    "yahoo.co.nz", "yahoo.co.th", "yahoo.co.uk", "yahoo.co.za", "yahoo.com", "yahoo.com.ar",
    "yahoo.com.au", "yahoo.com.br", "yahoo.com.cn", "yahoo.com.hk", "yahoo.com.mx",
    "yahoo.com.my", "yahoo.com.ph", "yahoo.com.sg", "yahoo.com.tr", "yahoo.com.tw",
    "yahoo.com.vn", "yahoo.de", "yahoo.dk", "yahoo.es", "yahoo.fr", "yahoo.gr", "yahoo.ie",
    "yahoo.in", "yahoo.it", "yahoo.nl", "yahoo.no", "yahoo.pl", "yahoo.pt", "yahoo.ro",
    "yahoo.se", "yandex.by", "yandex.com", "yandex.kz", "yandex.ru", "yandex.ua", "yeah.net",
    "ymail.com", "yopmail.com", "yopmail.fr", "yopmail.net", "ziggo.nl", "zipmail.com.br",
    "zoho.com", "zoho.eu", "zoho.in", "zohomail.com", "zoznam.sk",
];

/// Whether a domain, in the form that `domain()` gives, belongs to a public mail provider.
pub(crate) fn is_public_provider(domain: &str) -> bool {
    PROVIDERS.binary_search(&domain).is_ok()
}

#[cfg(test)]
mod tests {
    use crate::domain::normal_form;
    use crate::freemail::{PROVIDERS, is_public_provider};

    #[test]
    fn the_list_is_sorted_unique_and_in_normal_form() {
        assert!(PROVIDERS.is_sorted_by(|a, b| a < b));
        for provider in PROVIDERS {
            assert_eq!(normal_form(provider).as_deref(), Some(*provider));
        }
    }

    #[test]
    fn knows_providers_by_their_exact_domain() {
        for (domain, expected) in [
            ("gmail.com", true),
            ("outlook.com", true),
            ("qq.com", true),
            ("web.de", true),
            ("mailinator.com", true),
            ("arsenal.com", false),
            ("mail.gmail.com", false),
            ("notgmail.com", false),
            ("", false),
        ] {
            assert_eq!(is_public_provider(domain), expected, "{domain:?}");
        }
    }
}
